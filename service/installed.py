"""The plug-ins that are installed in this environment, by name. Nothing of them is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

Kind = Literal["model", "dataset", "optimizer"]

GROUPS: Mapping[Kind, str] = {
    "model": "whichopt.models",
    "dataset": "whichopt.datasets",
    "optimizer": "whichopt.optimizers",
}
"""The groups of entry points by which packages offer plug-ins."""


@dataclass(frozen=True)
class Installed:
    """An entry point of an installed package."""

    kind: Kind
    point: EntryPoint

    @property
    def name(self) -> str:
        return self.point.name

    @property
    def target(self) -> str:
        return self.point.value

    @property
    def package(self) -> str | None:
        return None if self.point.dist is None else self.point.dist.name

    @property
    def version(self) -> str | None:
        return None if self.point.dist is None else self.point.dist.version


@cache
def installed() -> tuple[Installed, ...]:
    """Return all plug-ins of this environment, as its packages were when this was first asked."""
    return tuple(
        Installed(kind, point) for kind, group in GROUPS.items() for point in entry_points(group=group)
    )
