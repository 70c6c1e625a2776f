"""The database: the truth about every job. SQLite and PostgreSQL behind one Store.

Who writes what: a door adds jobs and asks for cancel; a planner adds rounds and conclusions, guarded by the
job's round number; a worker claims, renews and finishes cohorts, fenced by its owner token; the reaper hands
back what nobody works on; whoever makes a report notes where it is, and the keeper of a reader what it found
in a file. Every write that concerns a job first locks the job's row, so that writers of one job follow each
other, and moves `job.revision` (but for its report, which is derived). All times are by the database's clock
(`clock`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import make_url
from sqlalchemy.pool import ConnectionPoolEntry

from whichopt.service.db import clock
from whichopt.service.db.blobs import Blobs
from whichopt.service.db.cohorts import Cohorts
from whichopt.service.db.concluding import Conclusions
from whichopt.service.db.connections import KEPT_OPEN, OUT_OF_REACH, Connections
from whichopt.service.db.datasets import Datasets
from whichopt.service.db.example_values import ExampleValues
from whichopt.service.db.existing import open_what_is_there
from whichopt.service.db.forecasts import Forecasts
from whichopt.service.db.jobs import Jobs
from whichopt.service.db.keys import Keys
from whichopt.service.db.lost import Lost
from whichopt.service.db.past import Past
from whichopt.service.db.race import Races
from whichopt.service.db.raced import Raced
from whichopt.service.db.report_rows import Records
from whichopt.service.db.reports import Reports
from whichopt.service.db.samples import Samples
from whichopt.service.db.studies import Studies
from whichopt.service.db.trials import Trials
from whichopt.service.db.troubles import lasts
from whichopt.service.db.view_reader import ViewReader
from whichopt.service.db.workers import Workers
from whichopt.service.errors import StorageFull
from whichopt.service.storage import storage_trouble

__all__ = [
    "OUT_OF_REACH",
    "DatabaseError",
    "IntegrityError",
    "ProgrammingError",
    "Store",
    "Transaction",
    "passes",
]

IntegrityError = sa.exc.IntegrityError
ProgrammingError = sa.exc.ProgrammingError
"""PostgreSQL's word for a table or a column that is not there."""

DatabaseError = sa.exc.SQLAlchemyError
"""Errors of a statement that fails for any reason: out of reach, locked, read-only."""


def passes(error: BaseException) -> bool:
    """Tell if a retry may succeed later: the database is away or cannot be written, or a disk is full."""
    trouble = storage_trouble(error)
    if isinstance(error, DatabaseError):
        return trouble is not None or (isinstance(error, OUT_OF_REACH) and not lasts(error))
    return isinstance(trouble, StorageFull)


class Transaction:
    """One transaction, and every query in it."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def now(self) -> datetime:
        """Return the time by the database's clock."""
        return clock.read(self.connection)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.connection)

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self.connection)

    @cached_property
    def cohorts(self) -> Cohorts:
        return Cohorts(self.connection)

    @cached_property
    def datasets(self) -> Datasets:
        return Datasets(self.connection)

    @cached_property
    def lost(self) -> Lost:
        return Lost(self.connection)

    @cached_property
    def trials(self) -> Trials:
        return Trials(self.connection)

    @cached_property
    def views(self) -> ViewReader:
        return ViewReader(self.connection)

    @cached_property
    def forecasts(self) -> Forecasts:
        return Forecasts(self.connection)

    @cached_property
    def example_values(self) -> ExampleValues:
        return ExampleValues(self.connection)

    @cached_property
    def records(self) -> Records:
        return Records(self.connection)

    @cached_property
    def reports(self) -> Reports:
        return Reports(self.connection)

    @cached_property
    def conclusions(self) -> Conclusions:
        return Conclusions(self.connection)

    @cached_property
    def races(self) -> Races:
        return Races(self.connection)

    @cached_property
    def samples(self) -> Samples:
        return Samples(self.connection)

    @cached_property
    def past(self) -> Past:
        return Past(self.connection)

    @cached_property
    def raced(self) -> Raced:
        return Raced(self.connection)

    @cached_property
    def blobs(self) -> Blobs:
        return Blobs(self.connection)

    @cached_property
    def studies(self) -> Studies:
        return Studies(self.connection)

    @cached_property
    def workers(self) -> Workers:
        return Workers(self.connection)


class Store:
    """The door to the database. Safe to share between threads; not between processes."""

    def __init__(
        self, url: str, *, connections: int = 10, keep: int = KEPT_OPEN, makes_file: bool = True
    ) -> None:
        """At most so many connections to PostgreSQL at a time, of which `keep` stay open.

        Without `makes_file` an SQLite file that is not there is an error: who only uses a database must not
        make an empty one if its name is mistyped.
        """
        self.url = make_url(url)
        self.connections = Connections(self.url, most=connections, keep=keep, json_serializer=_json_text)
        self.engine = self.connections.engine
        if self._is_sqlite:
            if not makes_file:
                sa.event.listen(self.engine, "do_connect", open_what_is_there)
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that may write: committed at the end of the block, rolled back on an exception."""
        with self._transaction(writes=True) as transaction:
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One consistent view of the database; takes no lock that a writer waits for."""
        options: dict[str, Any] = {"writes": False}
        if not self._is_sqlite:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._transaction(**options) as transaction:
            yield transaction

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _transaction(self, **options: Any) -> Iterator[Transaction]:
        with self.connections.one() as connection:
            connection.execution_options(**options)
            with connection.begin():
                yield Transaction(connection)

    @property
    def _is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"


def _json_text(value: Any) -> str:
    """A plan or a result writes itself: several times as fast as by way of a dict."""
    return value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value)


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=20000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes its lock at once: reading first would make it fail if another wrote between."""
    writes = connection.get_execution_options().get("writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
