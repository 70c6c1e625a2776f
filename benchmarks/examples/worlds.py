"""Made-up worlds: the lead of one config over another is the sum of what seed, example and both together do.

Of each world the mean lead is 0, the standard deviation of an example's own part is 1, and that of a seed's
is such that examples and seeds matter alike with 100 examples. What a single cell adds is as large as the
example's own part: an example on which configs differ much is one on which their runs differ, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from benchmarks.examples.coverage import Matrix

Parts = Callable[[np.random.Generator, int], Matrix]
"""The own parts of so many examples: mean 0, standard deviation 1."""

OF_SEEDS = 0.1
"""Standard deviation of a seed's part."""


def _normal(random: np.random.Generator, count: int) -> Matrix:
    return random.standard_normal(count)


def _heavy(random: np.random.Generator, count: int) -> Matrix:
    """Student's t with 4 degrees of freedom."""
    return random.standard_t(4, count) / math.sqrt(2)


def _exponential(random: np.random.Generator, count: int) -> Matrix:
    return random.exponential(1, count) - 1


def _lognormal(random: np.random.Generator, count: int) -> Matrix:
    mean, variance = math.exp(0.5), (math.e - 1) * math.e
    return (random.lognormal(0, 1, count) - mean) / math.sqrt(variance)


def _rare(random: np.random.Generator, count: int) -> Matrix:
    """One example in twenty decides: the others do not differ at all."""
    found = (random.random(count) < 0.05) * random.exponential(1, count)
    return (found - 0.05) / math.sqrt(0.1 - 0.0025)


EXAMPLES: Mapping[str, Parts] = {
    "normal": _normal,
    "heavy tails (t, 4 df)": _heavy,
    "skewed (exponential, skewness 2)": _exponential,
    "very skewed (lognormal, skewness 6)": _lognormal,
}

BEYOND: Mapping[str, Parts] = {"1 example in 20 decides": _rare}
"""Worlds for which nothing is promised: a small test split may lack what counts."""


def drawing(parts: Parts) -> Callable[[np.random.Generator, int, int], Matrix]:
    """Return the function that draws a job's leads."""
    return partial(_leads, parts)


def _leads(parts: Parts, random: np.random.Generator, seeds: int, examples: int) -> Matrix:
    own = parts(random, examples)
    cells = own * random.standard_normal((seeds, examples))
    return own + OF_SEEDS * random.standard_normal((seeds, 1)) + cells
