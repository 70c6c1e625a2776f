"""Reads a row, or says that it cannot be read: damage must not hide the other rows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from whichopt.service.errors import UnknownName, UnreadableRow
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import Recommendation

ViewT = TypeVar("ViewT")

log = structlog.get_logger()

NOT_AS_WRITTEN = (ValueError, LookupError, TypeError, AttributeError, UnknownName)
"""Errors of reading a column with content that this version does not write (pydantic's and json's errors are
ValueErrors)."""


def readable(row: Any, reader: Callable[[Any], ViewT]) -> ViewT:
    """Return what `reader` makes of a row that has a `uid`.

    Raises:
        UnreadableRow: it can make nothing of it.
    """
    try:
        return reader(row)
    except NOT_AS_WRITTEN as error:
        problem = _problem(error)
        log.warning("unreadable_row", id=row.uid, problem=problem)
        raise UnreadableRow(
            f"what is stored of {row.uid} cannot be read ({problem}). It is kept as it is. A newer version "
            "may have written it, or the database is damaged: update whichopt, or restore a backup"
        ) from error


def spec_of(row: Any) -> ResolvedSpec:
    """Return the resolved spec of a row that has `uid`, `spec` and `executor`.

    Raises:
        UnreadableRow: it is none.
    """
    return readable(row, read_spec)


def read_spec(row: Any) -> ResolvedSpec:
    """Return the resolved spec of a row that has `spec` and `executor`.

    Up to 0.1 a job had one executor, which stands in a column of its own. It goes on under that one.
    """
    spec = ResolvedSpec.model_validate(row.spec)
    return spec if spec.executors or row.executor is None else spec.with_executor(row.executor)


class KeptSpecs:
    """The resolved specs that were read last: to read one anew costs more than all else of a job's view.

    Safe to share between threads; a spec is never changed in place.
    """

    def __init__(self, *, most: int = 64) -> None:
        self.most = most
        self._kept: OrderedDict[str, tuple[Any, ResolvedSpec]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, row: Any) -> ResolvedSpec:
        """Return the resolved spec of a row that has `uid`, `spec` and `executor`, as `read_spec` does.

        It is the same object for as long as the row says the same.
        """
        stored = (row.spec, row.executor)
        with self._lock:
            known = self._kept.get(row.uid)
        if known is not None and known[0] == stored:
            return known[1]
        spec = read_spec(row)
        with self._lock:
            self._kept[row.uid] = (stored, spec)
            self._kept.move_to_end(row.uid)
            if len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return spec


def recommendation_of(row: Any) -> Recommendation:
    """Return the recommendation of a row, which has one."""
    return Recommendation.model_validate(row.recommendation)


def _problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
