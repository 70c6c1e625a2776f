"""Finds the blobs that the rows refer to; all others may be removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from whichopt.service.db.jobs import UNFINISHED
from whichopt.service.db.tables import cohort, metadata

COLUMNS: tuple[sa.Column[Any], ...] = tuple(
    column for table in metadata.sorted_tables for column in table.columns if column.info.get("blob")
)
"""Every column that holds a blob's name."""

NEEDED: Mapping[sa.Column[Any], sa.ColumnElement[bool]] = {
    cohort.c.checkpoint: cohort.c.state.in_(UNFINISHED),
}
"""The rows whose blob is still needed, for columns of which not every row's is: a checkpoint is removed when
its cohort ends, and its name stays in the row."""


class Blobs:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def referenced(self) -> set[str]:
        """Return the names of all blobs that a row still needs."""
        return set(self.connection.scalars(sa.union(*(_names(column) for column in COLUMNS))))


def _names(column: sa.Column[Any]) -> sa.Select[Any]:
    return sa.select(column).where(column.is_not(None), NEEDED.get(column, sa.true()))
