"""How often an interval holds the truth: counted over made-up jobs, which draw their seeds and examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whichopt.service.evidence.statistics.estimates import ALPHA, critical_t
from whichopt.service.evidence.statistics.examples import over_seeds_and_examples

Matrix = npt.NDArray[np.float64]

Draw = Callable[[np.random.Generator, int, int], Matrix]
"""The leads of a job: so many seeds by so many examples."""

SHAPES = ((4, 36), (8, 36), (20, 36), (8, 100), (8, 400))
"""Seeds and test examples of a job. A default job's champions have 8 to 28 seeds."""

PROMISED = 0.93


@dataclass(frozen=True)
class Coverage:
    """Of `jobs` that have an interval: those whose interval holds the truth, lies above it, or below it.

    `plain` are those that would hold it without the widening for few, skewed examples and without the second
    count of single cells: the textbook's interval. `silent` jobs have no interval, as all their examples have
    the same lead.
    """

    name: str
    seeds: int
    examples: int
    held: int
    above: int
    below: int
    plain: int
    silent: int

    @property
    def jobs(self) -> int:
        return self.held + self.above + self.below

    @property
    def share(self) -> float:
        return self.held / self.jobs

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95% interval of the share."""
        return exact_interval(self.held, self.jobs)


def exact_interval(count: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share by Clopper and Pearson (1934)."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return low, high


def coverage(
    name: str, draw: Draw, truth: float, *, seeds: int, examples: int, jobs: int, seed: int = 0
) -> Coverage:
    """Count over made-up jobs of so many seeds and test examples."""
    random = np.random.default_rng([seed, seeds, examples])
    held = above = below = plain = silent = 0
    for _ in range(jobs):
        leads = draw(random, seeds, examples)
        found = over_seeds_and_examples(leads)
        if found is None:
            silent += 1
            continue
        low, high = found.bounds(ALPHA / 2)
        above += low > truth
        below += high < truth
        held += low <= truth <= high
        plain += _plainly(leads, truth)
    return Coverage(name, seeds, examples, held, above, below, plain, silent)


def _plainly(leads: Matrix, truth: float) -> bool:
    """Tell if the interval of the two-way analysis of variance holds the truth, by Satterthwaite's df."""
    seeds, examples = leads.shape
    center, rows, columns = leads.mean(), leads.mean(axis=1), leads.mean(axis=0)
    cells = leads - rows[:, None] - columns + center
    a, b = rows.var(ddof=1) / seeds, columns.var(ddof=1) / examples
    c = (cells**2).sum() / ((seeds - 1) * (examples - 1)) / (seeds * examples)
    total = max(a + b - c, a, b)
    df = total**2 / (a**2 / (seeds - 1) + b**2 / (examples - 1) + c**2 / ((seeds - 1) * (examples - 1)))
    reach = critical_t(max(1.0, float(df)), ALPHA / 2) * float(np.sqrt(total))
    return bool(abs(center - truth) <= reach)
