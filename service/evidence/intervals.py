"""Simultaneous intervals for how much worse each of several candidates is than the best of them.

The best one is not known. If it were, say k, each other one would be compared with it alone (as with a
control), by a two-sided interval of mu_i - mu_k at alpha / (n - 1): with probability 1 - alpha all hold. On
that event no upper bound of mu_i - mu_k is below zero, so k is in the set G of candidates for which that is
so; and the least of the lower bounds and the greatest of the upper ones over all k in G bound mu_i - mu_k
for the k that is the best one, whichever that is. This is the method of Edwards and Hsu (1983, Journal of the
American Statistical Association 78: 965-971), with Bonferroni's bound in place of Dunnett's quantile, which
needs equal variances.

It needs n - 1 comparisons where intervals for all pairs need n (n - 1) / 2, and answers what is asked: how
much worse than the best, not than the one that happened to have the best mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from service.evidence.stats import ALPHA, Estimate, Spend

Compare = Callable[[int, int], Estimate]
"""The estimate of mu_i - mu_k."""


class Bounds(NamedTuple):
    """Of a difference; none where there are too few runs to tell."""

    low: float | None
    high: float | None


class Gaps(NamedTuple):
    """`possible` are the candidates that may be the best one; `bounds` are those of every item's difference
    to the best one, at the two-sided level `tail` each side."""

    possible: tuple[int, ...]
    bounds: tuple[Bounds, ...]
    tail: float


def gaps_to_best(count: int, candidates: Sequence[int], compare: Compare, alpha: Spend) -> Gaps:
    """How much worse each of `count` items is than the best of the `candidates` among them.

    `candidates` come in the order of their means, the best first (only so that the search for G ends soon).
    Items that are no candidates get bounds too, which may be negative.
    """
    tail = alpha(ALPHA / (2 * max(count - 1, 1)))
    possible = [k for k in candidates if all(compare(i, k).high(tail) >= 0 for i in candidates if i != k)]
    bounds = []
    for i in range(count):
        found = [Bounds(0.0, 0.0) if i == k else Bounds(*compare(i, k).bounds(tail)) for k in possible]
        lows, highs = [b.low for b in found], [b.high for b in found]
        low = None if None in lows else min(value for value in lows if value is not None)
        high = None if None in highs else max(value for value in highs if value is not None)
        if i in candidates and low is not None:
            low = max(low, 0.0)
        bounds.append(Bounds(low, high))
    return Gaps(tuple(possible), tuple(bounds), tail)
