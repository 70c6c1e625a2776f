"""How often something may go wrong, and how sure a counted rate is."""

from __future__ import annotations

from whichopt.service.evidence.statistics.estimates import ALPHA

MOST, LOWER = 0.065, 0.05
"""The most that the rate of false winners, and its lower bound, may be."""


def clopper_pearson(hits: float, trials: float) -> tuple[float, float]:
    """At 95%, both sides together; for numbers that are no integers too."""
    from scipy.special import betaincinv

    low = float(betaincinv(hits, trials - hits + 1, ALPHA / 2)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - ALPHA / 2)) if hits < trials else 1.0
    return low, high
