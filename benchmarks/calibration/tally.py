"""Counts of simulated jobs by what happened in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

W = TypeVar("W")


@dataclass
class Counts(Generic[W]):
    """The jobs of one scenario; `runs` are those that are counted of all its jobs together."""

    world: W
    jobs: int
    counts: Counter[str] = field(default_factory=Counter)
    runs: int = 0

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """Return the counts of all parts of one scenario's jobs."""
        total = cls(parts[0].world, sum(part.jobs for part in parts))
        for part in parts:
            total.counts.update(part.counts)
            total.runs += part.runs
        return total

    def share(self, event: str) -> float:
        return self.counts[event] / self.jobs

    def lower_bound(self, event: str, tail: float = 0.05) -> float:
        """Of its probability, one-sided, at 95% (Clopper and Pearson 1934, Biometrika 26: 404-413)."""
        from scipy.special import betaincinv

        count = self.counts[event]
        return float(betaincinv(count, self.jobs - count + 1, tail)) if count else 0.0
