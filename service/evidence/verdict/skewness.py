"""Measures if the runs are skewed, and corrects t-tests for it.

If now and then a run is much worse than the others (loss has a tail to the right), a small sample of a
config whose runs vary much looks better and steadier than it is, for as long as that run has not come. A
t-test of its lead over a steadier rival then errs too often; with equal spreads the skewness of the two
cancels in their difference. One config's runs are too few to tell, so the shape is taken as common to all
finalists, and read off their runs together:

    kappa = mean over arms of the sample skewness of the residuals (after the arm's and the seed's means),

with the usual correction for S runs, and is zero if the arms do not agree on its sign (|z| <= 2). The
difference of j and b then has about the skewness

    gamma = kappa (sigma_j^3 - sigma_b^3) / (sigma_j^2 + sigma_b^2)^(3/2),

and if that is negative, the critical value c of the test that b is better grows to what the Edgeworth
expansion of the t statistic has (Johnson 1978, Journal of the American Statistical Association 73: 536-544;
Hall 1992, The Bootstrap and Edgeworth Expansion, section 2.6):

    c - gamma / sqrt(S) (2 c^2 + 1) / 6.

It is never made smaller. Intervals are left as they are; a warning says that they may cover less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from whichopt.service.evidence.statistics.estimates import ROUNDING
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable

AGREEMENT = 2.0
"""The arms agree on the sign of the skewness if its sum is more than so many times its own error. Fewer than
five arms never do: the sum of n numbers is at most sqrt(n) times the root of the sum of their squares."""

FEWEST_SEEDS = 4


@dataclass(frozen=True)
class Skewness:
    """`kappa` is the skewness common to the arms' losses, 0 if there is none to be seen; `spreads` has
    each arm's standard deviation, 0 for one that did not stay finite."""

    kappa: float
    spreads: tuple[float, ...]

    def of_difference(self, ours: int, theirs: int) -> float:
        """The skewness of the difference of two arms' losses on a seed."""
        if not self.kappa:
            return 0.0
        a, b = self.spreads[ours], self.spreads[theirs]
        largest = max(a, b)
        if not largest:
            return 0.0
        a, b = a / largest, b / largest
        return float(self.kappa * (a**3 - b**3) / (a * a + b * b) ** 1.5)


NOT_SKEWED = Skewness(0.0, ())


def skewness_of(table: ConfirmTable) -> Skewness:
    """Return the skewness of the arms that stayed finite."""
    import numpy as np

    arms, seeds = list(table.finite), len(table.seeds)
    spreads = [0.0] * len(table.arms)
    if seeds < FEWEST_SEEDS:
        return Skewness(0.0, tuple(spreads))
    losses = np.asarray([table.losses[i] for i in arms])
    largest = float(np.abs(losses).max()) or 1.0
    losses = losses / largest
    centered = losses - losses.mean(axis=1, keepdims=True)
    residuals = centered - centered.mean(axis=0)
    deviations = np.sqrt((residuals**2).mean(axis=1))
    for i, spread in zip(arms, deviations.tolist(), strict=True):
        spreads[i] = largest * spread
    varies = deviations > ROUNDING
    skewness = ((residuals[varies] / deviations[varies, None]) ** 3).mean(axis=1)
    if abs(skewness.sum()) <= AGREEMENT * np.sqrt((skewness**2).sum()):
        return Skewness(0.0, tuple(spreads))
    kappa = float(skewness.mean()) * math.sqrt(seeds * (seeds - 1)) / (seeds - 2)
    return Skewness(kappa, tuple(spreads))
