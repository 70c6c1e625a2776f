"""Estimates with their errors, and the probability of being best. Pure functions of numbers.

Values are losses here: lower is better. The t quantiles come from scipy and the draws from numpy, imported
on first use. Sums are exact (`math.fsum`), so that no result depends on the order of the runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALPHA = 0.05
"""Family-wise level of each verdict, and one minus the simultaneous level of each set of intervals."""

Spend = Callable[[float], float]
"""The level at which a test is made now, of the level that it may err with in all (`staging.Look`)."""


def unspent(alpha: float) -> float:
    """Return `alpha` itself: the level of a test that is made once."""
    return alpha


DRAWS = 2**14
"""Draws behind a probability: its Monte Carlo error is at most 0.004."""

_STREAM = 20_260_101
"""First word of the seed of those draws, so that they share no stream with anything else."""

ROUNDING = 1e-12
"""Relative to the values: a smaller difference or spread is the rounding of equal numbers."""


class Estimate(NamedTuple):
    """A mean with its standard error on `df` degrees of freedom, which need not be a whole number."""

    mean: float
    error: float
    df: float

    def bounds(self, tail: float) -> tuple[float, float] | tuple[None, None]:
        """The t interval with probability `tail` beyond each end; none if nothing tells the spread.

        A spread of zero is taken at its word: the interval is the mean alone.
        """
        if self.df < 1:
            return None, None
        if self.error == 0:
            return self.mean, self.mean
        reach = critical_t(self.df, tail) * self.error
        low, high = self.mean - reach, self.mean + reach
        return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)

    def low(self, tail: float, skewness: float = 0.0) -> float:
        """The lower bound, minus infinity if there is none.

        If single runs are skewed to the left it is lower (`whichopt.service.evidence.verdict.skewness`).
        """
        low = self.bounds(tail)[0]
        if low is None:
            return -math.inf
        if skewness >= 0 or self.error == 0:
            return low
        critical = critical_t(self.df, tail)
        return low + skewness / math.sqrt(self.df + 1) * (2 * critical**2 + 1) / 6 * self.error

    def high(self, tail: float) -> float:
        """The upper bound, infinity if there is none."""
        high = self.bounds(tail)[1]
        return math.inf if high is None else high

    def above_zero(self, tail: float, skewness: float = 0.0) -> bool:
        """Tell if a one-sided t-test at level `tail` rejects a mean of zero or less."""
        return self.low(tail, skewness) > 0


@lru_cache(maxsize=4096)
def critical_t(df: float, tail: float) -> float:
    """Return the value that Student's t on `df` degrees of freedom exceeds with probability `tail`."""
    from scipy.special import stdtrit

    return -float(stdtrit(df, tail))


def mean(values: Sequence[float]) -> float:
    unit = unit_of(_largest(values))
    return unit * (math.fsum(_in(unit, values)) / len(values))


def mean_estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent runs (Student 1908)."""
    return _estimate(values, unit_of(_largest(values)))


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """The mean of `ours - theirs`, whose runs share their seeds pair by pair (Student 1908).

    A difference or a spread within the rounding of the values counts as zero: equal runs tie, and runs that
    differ by a constant differ for certain.
    """
    largest = max(_largest(ours), _largest(theirs))
    unit = unit_of(largest)
    differences = [a - b for a, b in zip(_in(unit, ours), _in(unit, theirs), strict=True)]
    return _without_rounding(_estimate(differences, 1.0), unit, largest)


def crossed_difference(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Estimate:
    """The mean of `ours - theirs` over studies (rows) and fresh seeds (columns), both taken as random.

    The finalists of all studies are confirmed on the same seeds, so what a seed does to a difference is
    common to the rows and does not show in their spread: R studies that all chose the default would differ
    by the luck of the seeds and yet agree to the bit. So with D the R x S differences,

        error^2 = var(row means) / R + var(column means) / S,    df = min(R, S) - 1.

    This is the square root of the denominator of Clark's min F' (1973, J. Verbal Learning and Verbal
    Behavior 12: 335-359); its expectation is the variance of the mean, plus the error of single runs once
    more. The smaller df instead of Satterthwaite's keeps the level exact or below whatever the shares of the
    two variances (Mickey and Brown 1966, Annals of Mathematical Statistics 37: 639-642).
    """
    largest = max(_largest(row) for side in (ours, theirs) for row in side)
    unit = unit_of(largest)
    rows = [
        [a - b for a, b in zip(_in(unit, row), _in(unit, other), strict=True)]
        for row, other in zip(ours, theirs, strict=True)
    ]
    studies, seeds = len(rows), len(rows[0])
    over_studies = _estimate([math.fsum(row) / seeds for row in rows], 1.0)
    over_seeds = _estimate([math.fsum(column) / studies for column in zip(*rows, strict=True)], 1.0)
    error = math.hypot(over_studies.error, over_seeds.error)
    difference = Estimate(over_studies.mean, error, min(over_studies.df, over_seeds.df))
    return _without_rounding(difference, unit, largest)


def welch_difference(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Estimate:
    """The mean of `ours - theirs` over studies (rows) and fresh seeds (columns), by studies unpaired.

    That two labels' studies of one replicate share a seed pairs them by next to nothing, and to pair them
    would halve what tells their spread. All finalists of all studies do share the fresh seeds. So with A and
    B the R x S losses and D the differences of their column means,

        error^2 = var(row means of A) / R + var(row means of B) / R + var(D) / S,

    on the degrees of freedom of Welch (1947, Biometrika 34: 28-35) and Satterthwaite (1946). If the seeds'
    part is the largest, they are at most S - 1, and with two studies they are 1: there the formula gives too
    many, as a part of few degrees may look small by luck (`benchmarks.calibration.adversarial`). As in
    `crossed_difference`, the error of single runs is in it twice.
    """
    largest = max(_largest(row) for side in (ours, theirs) for row in side)
    unit = unit_of(largest)
    a, b = ([_in(unit, row) for row in side] for side in (ours, theirs))
    studies, seeds = len(a), len(a[0])
    of_a, of_b = (_estimate([math.fsum(row) / seeds for row in rows], 1.0) for rows in (a, b))
    columns = [
        math.fsum(column) / studies - math.fsum(other) / studies
        for column, other in zip(zip(*a, strict=True), zip(*b, strict=True), strict=True)
    ]
    by_seed = _estimate(columns, 1.0)
    error = math.hypot(of_a.error, of_b.error, by_seed.error)
    df = welch_df(of_a.error**2, of_b.error**2, by_seed.error**2, studies, seeds)
    return _without_rounding(Estimate(by_seed.mean, error, df), unit, largest)


def welch_df(a: float, b: float, c: float, studies: int, seeds: int) -> float:
    """The degrees of freedom of a + b + c: variances of two means over studies, and of one over seeds."""
    if min(studies, seeds) < 2:
        return 0.0
    total = a + b + c
    if not total or studies == 2:
        return min(studies, seeds) - 1.0
    a, b, c = a / total, b / total, c / total
    df = max(1.0, 1 / ((a * a + b * b) / (studies - 1) + c * c / (seeds - 1)))
    return min(df, seeds - 1.0) if c > a + b else df


def probability_best(
    losses: Sequence[Sequence[float]], labels: Sequence[str], *, seed: int, draws: int = DRAWS
) -> dict[str, float]:
    """For each label, the probability that one of its arms has the lowest expected loss.

    `losses` holds one row an arm, one column a seed; `labels` names each arm's label. The arms' means are
    drawn from a multivariate t with S - 1 degrees of freedom,

        mu = x_bar + Z' (X - x_bar) / sqrt(S (S - 1)) * sqrt((S - 1) / chi2),    Z ~ N(0, I_S),

    so that every contrast of arms has the posterior that Jeffreys' prior (independent, p ~ 1 / sigma^2)
    gives the mean of one normal sample (Box and Tiao 1973, section 2.4), whatever the number of arms. A draw
    on which labels tie exactly is split evenly between them. With fewer than two seeds nothing tells the
    labels apart.
    """
    names = list(dict.fromkeys(labels))
    seeds = len(losses[0])
    if seeds < 2:
        return {name: 1 / len(names) for name in names}
    import numpy as np

    random = np.random.default_rng([_STREAM, seed])
    normal = random.standard_normal((seeds, draws))
    spread = np.sqrt(1 / (seeds * random.chisquare(seeds - 1, size=draws)))
    scale = max(map(_largest, losses)) or 1.0
    values = np.asarray(losses, dtype=np.float64) / scale
    centers = np.asarray([[mean(row) / scale] for row in losses])
    simulated = centers + ((values - centers) @ normal) * spread
    owner = np.asarray(labels)
    lowest = np.stack([simulated[owner == name].min(axis=0) for name in names])
    return _shares(lowest, names)


def study_probability_best(
    losses: Sequence[Sequence[Sequence[float]]], labels: Sequence[str], *, seed: int, paired: bool = True
) -> dict[str, float]:
    """For each label, the probability that its expected loss over studies and seeds is the lowest.

    `losses` holds one table a label: one row a study, one column a seed. As in `crossed_difference`, what the
    studies do and what the seeds do to a mean are two pieces of luck, each with its own spread; a draw is

        mu = x_bar + Z' (row means - x_bar) / sqrt(R chi2_{R-1})
                   + Y' (column means - x_bar) / sqrt(S chi2_{S-1}),    Z ~ N(0, I_R), Y ~ N(0, I_S),

    so that the difference of two labels has the Behrens-Fisher posterior of its two spreads (Box and Tiao
    1973, section 2.5). Draws of Y are common to the labels, as seeds are paired. So are those of Z if studies
    are `paired`; else each label has its own (`welch_difference`).
    """
    import numpy as np

    studies, seeds = len(losses[0]), len(losses[0][0])
    if min(studies, seeds) < 2:
        return {label: 1 / len(labels) for label in labels}
    scale = max(_largest(row) for table in losses for row in table) or 1.0
    table = np.asarray(losses, dtype=np.float64) / scale
    centers = np.asarray([[mean([mean(row) for row in rows]) / scale] for rows in losses])
    random = np.random.default_rng([_STREAM, seed, studies])
    draws = centers + np.zeros((len(labels), DRAWS))
    of_studies, of_seeds = table.mean(axis=2) - centers, table.mean(axis=1) - centers
    if paired:
        draws += _luck(of_studies, random)
    else:
        draws += np.concatenate([_luck(residuals[None], random) for residuals in of_studies])
    draws += _luck(of_seeds, random)
    return _shares(draws, labels)


def _luck(residuals: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Draws of the errors of means whose residuals are the rows, with the same draws for each row."""
    import numpy as np

    count = residuals.shape[1]
    normal = random.standard_normal((count, DRAWS))
    return np.asarray((residuals @ normal) / np.sqrt(count * random.chisquare(count - 1, size=DRAWS)))


def _shares(draws: NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    """Return how often each row of `draws` is the lowest; a tie is split evenly."""
    best = draws <= draws.min(axis=0) + ROUNDING
    shares = (best / best.sum(axis=0)).mean(axis=1)
    return {name: float(share) for name, share in zip(names, shares, strict=True)}


def _largest(values: Sequence[float]) -> float:
    """In absolute value."""
    return max(map(abs, values), default=0.0)


def unit_of(largest: float) -> float:
    """Return a divisor by which no square of a value overflows or vanishes: 1, except for extreme values."""
    return largest if largest and not 1e-100 < largest < 1e100 else 1.0


def _in(unit: float, values: Sequence[float]) -> Sequence[float]:
    return values if unit == 1.0 else [value / unit for value in values]


def _estimate(values: Sequence[float], unit: float) -> Estimate:
    count = len(values)
    values = _in(unit, values)
    center = math.fsum(values) / count
    if count < 2:
        return Estimate(unit * center, 0.0, 0)
    variance = math.fsum([(value - center) ** 2 for value in values]) / (count - 1)
    return Estimate(unit * center, unit * math.sqrt(variance / count), count - 1)


def _without_rounding(estimate: Estimate, unit: float, largest: float) -> Estimate:
    """In the values' own unit, and zero if it is the rounding of values as large as `largest`."""
    center, error, least = unit * estimate.mean, unit * estimate.error, ROUNDING * largest
    return Estimate(0.0 if abs(center) <= least else center, 0.0 if error <= least else error, estimate.df)
