"""The setting or the space of one optimizer, in the form that the rules read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.space import Dimension, Float, Value
from whichopt.service.trials import Schedule
from whichopt.service.views import LintFinding


@dataclass(frozen=True)
class Setting:
    """An optimizer's hyperparameters: all `values`, and the ranges of those that are `searched`."""

    name: str
    facts: OptimizerFacts
    values: Mapping[str, Value]
    searched: Mapping[str, Dimension]
    field: str
    steps: int | None = None
    schedule: Schedule | None = None

    def number(self, name: str) -> float | None:
        """Return the value of a numeric hyperparameter, or None if the optimizer has no such one."""
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def chosen(self, name: str) -> float | None:
        """Return that value if somebody chose it, that is, if it is fixed or differs from the catalog's."""
        given = name not in self.searched or self.values.get(name) != self.facts.default.get(name)
        return self.number(name) if given else None

    def range(self, name: str) -> Float | None:
        dimension = self.searched.get(name)
        return dimension if isinstance(dimension, Float) else None

    def at(self, name: str) -> str:
        """Return the path of the value in the spec."""
        if not self.searched and "." not in self.field:
            return f"{self.field}.{name}"
        return f"{self.field}.{'default' if name in self.searched else 'space'}.{name}"

    def finding(
        self,
        code: str,
        name: str,
        what: str,
        why: str,
        instead: str,
        *,
        severity: Literal["warning", "note"] = "warning",
        ranged: bool = False,
    ) -> LintFinding:
        field = f"{self.field}.space.{name}" if ranged else self.at(name)
        return LintFinding(
            code=code,
            severity=severity,
            field=field,
            what=f"{self.name}: {what}",
            why=why,
            instead=instead,
        )
