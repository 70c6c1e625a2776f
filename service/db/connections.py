"""The way to the database: at most so many connections a process, waited for, and given back.

A server takes a fixed number of connections, often 100, from all processes together. A process that gets none
waits for one, and then says that there is none: that is another trouble than a database out of reach.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.pool import NullPool, QueuePool

OUT_OF_REACH = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""Errors of a query if the database does not answer, or not in time."""

WAIT_S = 5.0
"""Seconds that a transaction waits for its connection."""

PAUSES_S = (0.05, 1.0)
"""The first and the longest pause before a server without a free connection is asked again."""

KEPT_OPEN = 2
"""Connections that the API keeps open while it does not use them."""

FULL = (
    "too many clients already",  # max_connections, but for what is reserved
    "remaining connection slots are reserved",
    "too many connections for",  # a limit of the role or of the database
    "no more connections allowed",  # PgBouncer
)
"""Messages of a server that has no connection left. Errors before there is a connection have no code by which
to recognize them."""

TO_POSTGRESQL: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "utf8",
}
"""A server that has vanished without a word is noticed, rather than waited for for hours; and UTF-8 is spoken
whatever the server's default is, which psycopg would read as bytes (SQL_ASCII). What the URL says goes before
these."""

log = structlog.get_logger()


class NoConnection(sa.exc.TimeoutError):
    """There was no free connection within WAIT_S; `what` happened, and what to do `instead`."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}; {instead}")
        self.what, self.instead = what, instead


class Connections:
    """The connections of this process. Safe to share between threads."""

    def __init__(self, url: sa.URL, *, most: int, keep: int = KEPT_OPEN, **options: Any) -> None:
        """`most` at a time. `keep` of them stay open while they are not used; on SQLite, all do."""
        options["hide_parameters"] = True  # what users sent is no part of an error's message
        self.most = most
        self._free = threading.BoundedSemaphore(most)
        if url.get_backend_name() == "sqlite":
            in_file = url.database not in (None, "", ":memory:")
            sizes = {"pool_size": most, "max_overflow": 0} if in_file else {}
            self.engine = sa.create_engine(url, **sizes, **options)
            return
        pool: dict[str, Any] = {"poolclass": NullPool}
        if keep:
            # A connection that the server has closed meanwhile is noticed before it is used.
            sizes = {"pool_size": min(keep, most), "max_overflow": most - min(keep, most)}
            pool = {"poolclass": QueuePool, "pool_use_lifo": True, "pool_pre_ping": True, **sizes}
        options_of_driver = {name: value for name, value in TO_POSTGRESQL.items() if name not in url.query}
        # Without prepared statements, which a pooler between us and the server may not know.
        options_of_driver["prepare_threshold"] = None
        self.engine = sa.create_engine(url, connect_args=options_of_driver, **pool, **options)

    @contextmanager
    def one(self) -> Iterator[sa.Connection]:
        """A connection, for the block.

        Raises:
            NoConnection: there was none within WAIT_S.
            OUT_OF_REACH: the database does not answer.
        """
        deadline = time.monotonic() + WAIT_S
        if not self._free.acquire(timeout=WAIT_S):
            raise NoConnection(
                f"all {self.most} database connections of this process have been in use for {WAIT_S:g} s",
                "try again soon, and raise WHICHOPT_DATABASE_CONNECTIONS if it happens often",
            )
        try:
            with self._connected(deadline) as connection:
                yield connection
        finally:
            self._free.release()

    def _connected(self, deadline: float) -> sa.Connection:
        pause, longest = PAUSES_S
        waits = False
        while True:
            try:
                return self.engine.connect()
            except sa.exc.OperationalError as error:
                if not any(words in str(error) for words in FULL):
                    raise
                if not waits:
                    log.warning("database_full", waits_s=WAIT_S, error=str(error.orig).strip())
                waits = True
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NoConnection(
                        "the database has no free connection: all that it allows are in use",
                        "try again soon, and raise the server's max_connections or run fewer processes if it "
                        "happens often",
                    ) from error
            # By chance, so that those who wait do not come all at once.
            time.sleep(min(left, pause * random.uniform(0.5, 1.5)))
            pause = min(2 * pause, longest)
