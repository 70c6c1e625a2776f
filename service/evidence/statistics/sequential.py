"""The levels of a t-test that is made at several looks.

A test's level is spent over the looks (Lan and DeMets 1983, Biometrika 70: 659-663). If the looks are taken
after n, 2n and 4n seeds, the joint law of their t statistics is known, and the nominal levels that spend
exactly the shares of alpha are in a table (`boundaries`, computed by `benchmarks.boundaries`). Elsewhere a
look tests at its share, which is enough whatever the law (a union bound).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from whichopt.service.evidence.statistics.boundaries import ALPHAS, RATIOS

_FIRST = sorted(first for first in RATIOS if first)


def level_at(alpha: float, look: int, seeds: int, shares: Sequence[float]) -> float:
    """The nominal level at look `look` (from 0), after `seeds` seeds, of a test with level `alpha` in all.

    Args:
        alpha: one-sided; between the levels of the table its shares are interpolated, and below them a look
            has its share.
        look: number of the look; with three looks they are after n, 2n and 4n seeds.
        seeds: number of seeds at it.
        shares: share of alpha that each look may spend.
    """
    share = shares[look]
    first, rest = divmod(seeds, 2**look)
    if len(shares) != 3 or look == 0 or rest or first < _FIRST[0] or alpha < ALPHAS[-1]:
        return alpha * share
    upper = bisect_left(_FIRST, first)
    above = _FIRST[upper] if upper < len(_FIRST) else 0
    below = above if above == first else _FIRST[upper - 1]
    low, high = _at(alpha, below, look), _at(alpha, above, look)
    # Shares are nearly linear in 1 / n: so they are between the seeds of the table, and beyond its last ones.
    x, x0, x1 = 1 / first, 1 / below, 1 / above if above else 0.0
    weight = 0.0 if x0 == x1 else (x0 - x) / (x0 - x1)
    return alpha * (low + weight * (high - low))


def _at(alpha: float, first: int, look: int) -> float:
    """The share of alpha at that look, for seeds that are in the table."""
    row = [pair[look - 1] for pair in RATIOS[first]]
    place = min(max(math.log2(ALPHAS[0] / alpha), 0.0), len(ALPHAS) - 1.0)
    left = min(int(place), len(ALPHAS) - 2)
    return row[left] + (place - left) * (row[left + 1] - row[left])
