"""The rows of `benchmarks.aa`: what came of the jobs of a kind, and what may come of them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.aa.judge import OPTIMIZER, Rate
from benchmarks.shared.rates import LOWER, MOST


@dataclass(frozen=True)
class MethodRates:
    """A kind of job: what each method did, and how many fresh seeds the product took."""

    pool: str
    names: int
    replicates: int
    seeds: int
    jobs: int
    seeds_used: float
    rates: list[Rate]

    def rate(self, method: str) -> Rate:
        return next(rate for rate in self.rates if rate.method == method)

    @property
    def meets(self) -> bool:
        """With one replicate the product gives no optimizer verdict, and so no false one."""
        optimizer_rate = self.rate(OPTIMIZER)
        return optimizer_rate.rate <= MOST and optimizer_rate.low <= LOWER
