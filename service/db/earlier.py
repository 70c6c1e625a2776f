"""Finds the jobs that came before one, about the same data, model and metric."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from whichopt.service.db.tables import job
from whichopt.service.records import MOST_EARLIER, EarlierJob, EarlierJobs
from whichopt.service.states import JobState

Row = sa.Row[Any]

_ABOUT = ("task", "metric", "direction", "content")
"""Columns that must be the same, whatever is trained."""

_OF_DATA = (("workload", "model"),)
_OF_BUILT_IN = (*_OF_DATA, ("workload", "dataset"))
_OF_FUNCTION = (("workload", "source"), ("workload", "function", "options"))
_OF_UNKNOWN_SOURCE = (("workload", "function"), ("workload", "version"))
"""Places in a spec that must be the same. A person's own data are known by their content, not their name."""


def earlier_jobs(connection: sa.Connection, uid: str) -> EarlierJobs | None:
    """Return the jobs before that job about the same data, model and metric; None if there is no such job.

    Whether they had ended, and how, is told as of the end of that job, so that the answer stays the same.
    """
    own = connection.execute(sa.select(job).where(job.c.uid == uid)).one_or_none()
    if own is None:
        return None
    paths = _paths(own)
    wanted = [_at(own.spec, path) for path in paths]
    columns = [job.c.spec[path].label(f"part_{i}") for i, path in enumerate(paths)]
    query = sa.select(job.c.id, *columns).where(
        job.c.id < own.id,
        job.c.function.is_(None) if own.function is None else job.c.function.is_not(None),
        *(_same(job.c[name], getattr(own, name)) for name in _ABOUT),
    )
    rows = connection.execute(query.order_by(job.c.id.desc()))
    same = [row.id for row in rows if [getattr(row, f"part_{i}") for i in range(len(paths))] == wanted]
    return EarlierJobs(count=len(same), jobs=_told(connection, same[:MOST_EARLIER], own))


def _same(column: sa.Column[Any], value: Any) -> sa.ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _paths(own: Row) -> tuple[tuple[str, ...], ...]:
    """Return the places that tell which data and model a job is about."""
    if own.function is None:
        return _OF_BUILT_IN if own.content is None else _OF_DATA
    return _OF_UNKNOWN_SOURCE if _at(own.spec, ("workload", "source")) is None else _OF_FUNCTION


def _at(spec: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        spec = spec.get(name) if isinstance(spec, dict) else None
    return spec


def _told(connection: sa.Connection, ids: list[int], own: Row) -> list[EarlierJob]:
    query = sa.select(job.c.uid, job.c.state, job.c.created_at, job.c.finished_at, job.c.recommendation)
    rows = connection.execute(query.where(job.c.id.in_(ids)).order_by(job.c.id.desc()))
    return [_earlier(row, own) for row in rows]


def _earlier(row: Any, own: Row) -> EarlierJob:
    had_ended = row.finished_at is not None and own.finished_at is not None
    if not had_ended or row.finished_at > own.finished_at:
        return EarlierJob(id=row.uid, created_at=row.created_at, state=None)
    told = row.recommendation if isinstance(row.recommendation, dict) else {}
    of_optimizers = told.get("optimizer_verdict")
    of_optimizers = of_optimizers if isinstance(of_optimizers, dict) else {}
    return EarlierJob(
        id=row.uid,
        created_at=row.created_at,
        state=JobState(row.state),
        verdict=_text(told, "verdict"),
        optimizer=_text(told, "optimizer"),
        optimizer_verdict=_text(of_optimizers, "verdict"),
        optimizer_winner=_text(of_optimizers, "optimizer"),
    )


def _text(part: dict[str, Any], name: str) -> str | None:
    """Return a text of a row; None if it is not there, or is no text in a row that is damaged."""
    value = part.get(name)
    return value if isinstance(value, str) else None
