"""Makes a part of a list of the rows of a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from whichopt.service.db.readable import readable
from whichopt.service.errors import UnreadableRow
from whichopt.service.views import Page, Unreadable

Row = sa.Row[Any]


def page_of(
    connection: sa.Connection,
    query: sa.Select[Any],
    limit: int,
    reader_of: Callable[[Sequence[Row]], Callable[[Row], Any]],
) -> Page[Any]:
    """Return the first `limit` rows of a query for one more, each as the reader makes it.

    A row that cannot be read is shown as such. The cursor is the last one's id.
    """
    rows = connection.execute(query).all()
    shown = rows[:limit]
    items, unreadable, reader = [], list[Unreadable](), reader_of(shown)
    for row in shown:
        try:
            items.append(readable(row, reader))
        except UnreadableRow as error:
            name = getattr(row, "name", None)
            unreadable.append(Unreadable(id=row.uid, name=name, problem=error.detail))
    cursor = str(shown[-1].id) if len(rows) > limit else None
    return Page(items=items, unreadable=unreadable, cursor=cursor)
