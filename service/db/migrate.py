"""Brings a database to the tables of this version, and makes the first API key known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from whichopt.service import api_keys
from whichopt.service.db import DatabaseError, Store
from whichopt.service.db.keys import new_key
from whichopt.service.db.standing import Standing, Tables, location, of_connection, standing
from whichopt.service.db.troubles import LOCKED, RESTORE, in_words, place, trouble
from whichopt.service.errors import Unavailable

LOCK = 7_460_118_923
"""PostgreSQL's advisory lock that two migrating processes contend for."""

LOCK_S = 20
"""Seconds that a migration waits for another program to let go of an SQLite database."""

LOOK_S = 1.0
"""Seconds of one wait before it is reported, so that a user sees it and can interrupt it."""

LOOK_AGAIN_S = 0.25
"""Seconds until a migration checks again if another one has ended."""

OLDEST_POSTGRES = 10
"""Major version of the oldest PostgreSQL server that is not refused; tested is a newer one."""

Waits = Callable[[str], object]
"""Told again and again, in words, what a migration waits for; may raise to give up."""


class CannotMigrate(Unavailable):
    """The database cannot be brought to this version's tables, and is left as it was; `detail` says why."""


def upgrade(store: Store, revision: str = "head", waits: Waits = lambda _: None) -> None:
    """Migrates up to `revision`; does nothing if the database is there already.

    It is done whole or not at all: what fails leaves the database as it was.

    Raises:
        CannotMigrate: the database is a newer version's or another program's, or its tables are not as said.
        DatabaseError: it is out of reach, locked, damaged ...; see `troubles.in_words`.
    """
    _run(store, lambda config: command.upgrade(config, revision), waits)


def downgrade(store: Store, revision: str = "base", waits: Waits = lambda _: None) -> None:
    """Migrates down to `revision`; what the dropped tables and columns held is lost.

    Raises:
        CannotMigrate, DatabaseError: as `upgrade` does.
    """
    _run(store, lambda config: command.downgrade(config, revision), waits)


def is_current(store: Store) -> bool:
    """Tell if the database has the tables of this version."""
    return standing(store).tables is Tables.CURRENT


def ensure_key(store: Store, wanted: str | None) -> str | None:
    """Makes the key `wanted` known; without it, makes a new one if there is none. Returns a new one.

    Raises:
        WeakKey: `wanted` is not known yet, and may be no key.
    """
    with store.transaction() as tx:
        if wanted is not None:
            if not wanted.isascii() or tx.keys.find(wanted) is None:
                api_keys.check(wanted)
            tx.keys.ensure(wanted, name="from the environment")
        elif not tx.keys.any():
            made = new_key()
            tx.keys.ensure(made, name="first")
            return made
    return None


def wait_until_free(store: Store, waits: Waits) -> None:
    """Wait for a program that lets nobody else even read an SQLite database, for LOCK_S at most.

    Raises:
        DatabaseError: it still does, or something else is the matter.
    """
    if store.engine.dialect.name != "sqlite":
        return

    def briefly(dialect: Any, _: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        return dialect.connect(*arguments, **{**options, "timeout": LOOK_S})

    sa.event.listen(store.engine, "do_connect", briefly)
    try:
        for left in reversed(range(round(LOCK_S / LOOK_S))):
            try:
                store.engine.connect().close()
            except DatabaseError as error:
                if trouble(error) is not LOCKED or not left:
                    raise
                waits(_holds(store))
            else:
                return
    finally:
        sa.event.remove(store.engine, "do_connect", briefly)


def _holds(store: Store) -> str:
    return f"another program has locked {place(store.url)}; waiting for it, up to {LOCK_S} s"


def _run(store: Store, migration: Callable[[Config], None], waits: Waits) -> None:
    config = Config()
    config.set_main_option("script_location", location().replace("%", "%%"))  # as configparser reads it
    config.set_main_option("path_separator", "os")
    with _alone(store, waits) as connection:
        standing = of_connection(connection, store.url)
        if standing.lasting:
            raise CannotMigrate(standing.detail, field="database")
        _check_server(connection, store, standing)
        config.attributes["connection"] = connection
        try:
            migration(config)
        except DatabaseError as error:
            if trouble(error) is not None:
                raise
            raise CannotMigrate(
                f"{in_words(error, store.url)}: its tables do not match its revision "
                f"({standing.revision or 'none'}). Nothing was changed; {RESTORE}",
                field="database",
            ) from error


@contextmanager
def _alone(store: Store, waits: Waits) -> Iterator[sa.Connection]:
    """A transaction that no other migration runs beside; rolled back on an exception."""
    wait_until_free(store, waits)
    with store.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            with _sqlite_alone(connection, store, waits):
                yield connection
            return
        with connection.begin():
            asks = sa.text("SELECT pg_try_advisory_xact_lock(:lock)")
            while not connection.execute(asks, {"lock": LOCK}).scalar_one():
                waits(f"another process is migrating {place(store.url)}; waiting for it")
                time.sleep(LOOK_AGAIN_S)
            yield connection


@contextmanager
def _sqlite_alone(connection: sa.Connection, store: Store, waits: Waits) -> Iterator[None]:
    """Do the same as `_alone`, without foreign keys, which are checked at the end.

    Alembic alters a table by making it anew and dropping the old one. With rows that refer to it that is
    refused while foreign keys are on, and they can only be turned off outside of a transaction.
    """
    raw = connection.connection.cursor()
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        with _begun(connection, store, waits):
            before = _broken(connection)
            yield
            broken = _broken(connection) - before
            if broken:
                table, row, parent = sorted(broken, key=str)[0]
                raise CannotMigrate(
                    f"{place(store.url)}: the migration would leave {len(broken)} rows that refer to nothing "
                    f"(the first: row {row} of {table!r}, which refers to {parent!r}); nothing was changed; "
                    "please report it",
                    field="database",
                )
    finally:
        raw.execute("PRAGMA foreign_keys=ON")
        raw.close()


def _begun(connection: sa.Connection, store: Store, waits: Waits) -> sa.RootTransaction:
    """Begin to write, and tell each second that another program does not let us."""
    raw = connection.connection.cursor()
    (usual,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA busy_timeout=1000")  # short: who waits hears of it, and can be interrupted
    try:
        for _ in range(LOCK_S - 1):
            try:
                return connection.begin()
            except DatabaseError as error:
                if trouble(error) is not LOCKED:
                    raise
            waits(_holds(store))
        return connection.begin()
    finally:
        raw.execute(f"PRAGMA busy_timeout={usual}")
        raw.close()


def _broken(connection: sa.Connection) -> set[tuple[object, ...]]:
    """The rows of an SQLite database that refer to none: table, row, table referred to."""
    return {tuple(row)[:3] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}


def _check_server(connection: sa.Connection, store: Store, standing: Standing) -> None:
    """Refuse a PostgreSQL server or a new database of its that could not hold what we write."""
    if connection.dialect.name != "postgresql":
        return
    release = connection.dialect.server_version_info or (OLDEST_POSTGRES,)
    if int(release[0]) < OLDEST_POSTGRES:
        raise CannotMigrate(
            f"{place(store.url)}: the server is PostgreSQL {'.'.join(map(str, release))}; whichopt needs "
            f"{OLDEST_POSTGRES} or newer: upgrade the server",
            field="database",
        )
    encoding = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
    if standing.tables is Tables.NONE and encoding not in ("UTF8", "SQL_ASCII"):
        raise CannotMigrate(
            f"{place(store.url)}: the database's encoding is {encoding}, which lacks most characters; "
            "make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
            field="database",
        )
