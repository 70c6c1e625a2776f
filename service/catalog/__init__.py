"""The catalog of optimizers, tasks, models and datasets: pure data, one frozen entry for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from whichopt.service.errors import UnknownName


class HasName(Protocol):
    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=HasName)


def find(kind: str, name: str, entries: Sequence[Entry], *, field: str | None = None) -> Entry:
    """The entry called `name`.

    Raises:
        UnknownName: there is none; the error names the nearest one and `field`, where it stood.
    """
    for entry in entries:
        if entry.name == name:
            return entry
    raise UnknownName.of(kind, name, [entry.name for entry in entries], field=field)
