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

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from whichopt.service.evidence.statistics.estimates import ALPHA, Spend, critical_t
from whichopt.service.evidence.statistics.pairwise import PairwiseDifferences

if TYPE_CHECKING:
    from whichopt.service.evidence.statistics.pairwise import Matrix


class Bounds(NamedTuple):
    """The bounds of a difference; both are None if there are too few runs."""

    low: float | None
    high: float | None


class Gaps(NamedTuple):
    """`possible` are the candidates that may be the best one; `bounds` are those of every item's difference
    to the best one, with probability `tail` beyond each end."""

    possible: tuple[int, ...]
    bounds: tuple[Bounds, ...]
    tail: float


def gaps_to_best(differences: PairwiseDifferences, candidates: Sequence[int], alpha: Spend) -> Gaps:
    """Bound how much worse each item is than the best of the `candidates` among them.

    Items that are no candidates get bounds too, which may be negative.
    """
    import numpy as np

    count = len(differences.means)
    tail = alpha(ALPHA / (2 * max(count - 1, 1)))
    if np.min(differences.df) < 1:
        return Gaps(tuple(candidates), (Bounds(None, None),) * count, tail)
    reach = _critical(differences.df, tail) * differences.errors
    rivals = list(candidates)
    high = differences.means + reach
    possible = [k for k in rivals if (high[rivals, k] >= 0).all()]
    lows = (differences.means - reach)[:, possible].min(axis=1)
    highs = high[:, possible].max(axis=1)
    lows[rivals] = np.maximum(lows[rivals], 0.0)
    finite = np.isfinite(lows) & np.isfinite(highs)
    bounds = [
        Bounds(low, high) if known else Bounds(None, None)
        for low, high, known in zip(lows.tolist(), highs.tolist(), finite.tolist(), strict=True)
    ]
    return Gaps(tuple(possible), tuple(bounds), tail)


def _critical(df: int | Matrix, tail: float) -> float | Matrix:
    """What Student's t exceeds with probability `tail`; the level, exactly, of each pair's own degrees."""
    if isinstance(df, int):
        return critical_t(df, tail)
    import numpy as np
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(df, tail))
