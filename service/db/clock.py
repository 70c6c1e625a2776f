"""The one clock that stored times are written and judged by: the database's.

The clocks of hosts differ, and a lease is written by one host and judged by another. So "now" is an
expression in SQL, and no time of a host's own clock is ever stored, or compared with one that is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from whichopt.service.db.tables import UTCDateTime

AHEAD_S = 60.0
"""A time further ahead than this was written before the database's clock was set back."""


class _At(FunctionElement[datetime]):
    """Now, and so many seconds later."""

    name = "at"
    type = UTCDateTime()
    inherit_cache = True


@compiles(_At, "postgresql")
def _on_postgresql(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    # The statement's time, not the transaction's: a writer may have waited for its job's lock meanwhile.
    seconds = compiler.process(element.clauses, **options)
    return f"(statement_timestamp() + make_interval(secs => {seconds}))"


@compiles(_At, "sqlite")
def _on_sqlite(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    # As stored: with six digits, of which SQLite's clock knows three.
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.6f seconds', {seconds})) || '000')"


def after(seconds: float) -> sa.ColumnElement[datetime]:
    """Return the time so many seconds from now; before now if they are negative."""
    return _At(sa.literal(float(seconds), sa.Double()))


def now() -> sa.ColumnElement[datetime]:
    return after(0.0)


def stale(column: sa.ColumnElement[datetime | None], seconds: float) -> sa.ColumnElement[bool]:
    """Tell if a time is at least so many seconds old, or of a clock that has been set back since."""
    return sa.or_(column <= after(-seconds), column > after(AHEAD_S))


def fresh(column: sa.ColumnElement[datetime | None], seconds: float) -> sa.ColumnElement[bool]:
    """Tell if a time is less than so many seconds old."""
    return sa.not_(stale(column, seconds))


def read(connection: sa.Connection) -> datetime:
    """Return the time by the database's clock."""
    return connection.execute(sa.select(now())).scalar_one()
