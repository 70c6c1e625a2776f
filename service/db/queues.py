"""The queues that work is taken from, by name."""

from __future__ import annotations

import sqlalchemy as sa

HERE = "here-"
"""Begins the queue of a job about a function that was given in process: its cohorts are trained by the
process that made it, and by nobody who listens to a broker."""


def here(uid: str) -> str:
    """Return the queue of a job that is trained in the process that made it."""
    return f"{HERE}{uid}"


def is_here(queue: str) -> bool:
    """Tell if a queue is one of a job that is trained in the process that made it."""
    return queue.startswith(HERE)


def of_workers(queue: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that workers listen to the queue of a row."""
    return sa.not_(queue.startswith(HERE, autoescape=True))
