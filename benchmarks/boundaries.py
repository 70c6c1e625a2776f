"""Computes the levels of a t-test at three looks from the joint law of the looks, and writes their table.

    python -m benchmarks.boundaries [--draws N] [--check]

A paired t-test is made after n, 2n and 4n seeds. Its level alpha is spent by `looks.SHARES` (Lan and DeMets
1983): look k may reject, having not rejected before, with probability share_k alpha. Under normality the
law of (t_n, t_2n, t_4n) has no unknown parameter, so the nominal levels a_k that do this are numbers:

    a_1 = share_1 alpha,    P(t_n <= c_1, t_2n > c_2) = share_2 alpha,
    P(t_n <= c_1, t_2n <= c_2, t_4n > c_3) = share_3 alpha,    c_k = t(n_k - 1; a_k).

The sum S and the sum of squares Q of the seeds so far are all that a look needs. Of the m seeds that follow,
the sum D is normal and what is left of their squares, W, is chi-square on m - 1 degrees of freedom, and

    t > c  <=>  S + D > 0 and (S + D)^2 > g (Q + D^2 / m + W),    g = c^2 n / (n - 1 + c^2),

which is quadratic in D: so given S, Q and W the probability of a rejection is exact, and only the mean over
these is drawn. `--check` estimates the levels of the table by counting, with draws of its own.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from whichopt.service.evidence.statistics import boundaries
from whichopt.service.evidence.statistics.sequential import level_at
from whichopt.service.planning.looks import SHARES

Floats = NDArray[np.float64]

TABLE = Path(boundaries.__file__)
DRAWS = 400_000
SEED = 20_261_130
ALPHAS = tuple(0.025 / 2**j for j in range(7))
FIRST_LOOKS = (3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 48, 0)
"""Seeds at the first look; 0 stands for infinitely many."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.boundaries",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--check", action="store_true", help="check the table instead of writing it")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        met = [check(first, chosen.draws) for first in FIRST_LOOKS if first]
        return 0 if all(met) else 1
    rows = {first: [ratios(first, alpha, chosen.draws) for alpha in ALPHAS] for first in FIRST_LOOKS}
    TABLE.write_text(source(rows))
    print(f"{len(rows)} first looks x {len(ALPHAS)} levels written to {TABLE.name}")
    return 0


def source(rows: dict[int, list[tuple[float, float]]]) -> str:
    """Return the module that holds the table."""
    lines = [
        '"""The levels of a t-test at three looks: see `benchmarks.boundaries`, which writes this file."""',
        "",
        f"ALPHAS = ({', '.join(repr(alpha) for alpha in ALPHAS)})",
        '"""Levels that all looks spend together, one-sided."""',
        "",
        "RATIOS = {",
    ]
    for first, row in rows.items():
        pairs = ", ".join(f"({second:.4f}, {third:.4f})" for second, third in row)
        lines.append(f"    {first}: ({pairs}),")
    lines += [
        "}",
        '"""The levels of the second and third look as shares of each alpha, by the seeds of the first look',
        '(n, of n, 2n and 4n); 0 has infinitely many."""',
    ]
    return "\n".join(lines) + "\n"


def ratios(first: int, alpha: float, draws: int) -> tuple[float, float]:
    """Return the nominal levels of the second and third look as shares of `alpha`."""
    one, two, three = (share * alpha for share in SHARES[3])
    random = np.random.default_rng([SEED, first])
    if not first:
        return _normal(one, two, three, alpha, random, draws)
    sums = math.sqrt(first) * random.standard_normal(draws)
    squares = sums**2 / first + random.chisquare(first - 1, draws)
    rest = random.chisquare(first - 1, draws)
    more = math.sqrt(first) * random.standard_normal(draws)
    last = random.chisquare(2 * first - 1, draws)
    open_ = statistic(sums, squares, first) <= -stdtrit(first - 1, one)
    c2 = _root(lambda c: float((rejects(sums, squares, rest, first, c, 2 * first) * open_).mean()), two)
    sums, squares = sums + more, squares + more**2 / first + rest
    open_ &= statistic(sums, squares, 2 * first) <= c2
    c3 = _root(lambda c: float((rejects(sums, squares, last, 2 * first, c, 4 * first) * open_).mean()), three)
    return float(stdtr(2 * first - 1, -c2)) / alpha, float(stdtr(4 * first - 1, -c3)) / alpha


def _normal(
    one: float, two: float, three: float, alpha: float, random: np.random.Generator, draws: int
) -> tuple[float, float]:
    """With infinitely many seeds the looks are those of a Brownian motion at 1/4, 1/2 and 1."""
    first = random.standard_normal(draws)
    open_ = first <= -ndtri(one)
    c2 = _root(lambda c: float((ndtr(-(math.sqrt(2) * c - first)) * open_).mean()), two)
    second = (first + random.standard_normal(draws)) / math.sqrt(2)
    open_ &= second <= c2
    c3 = _root(lambda c: float((ndtr(-(math.sqrt(2) * c - second)) * open_).mean()), three)
    return float(ndtr(-c2)) / alpha, float(ndtr(-c3)) / alpha


def statistic(sums: Floats, squares: Floats, count: int) -> Floats:
    """The t statistic of `count` seeds with these sums and sums of squares."""
    share = sums**2 / squares
    return np.sign(sums) * np.sqrt(share * (count - 1) / np.maximum(count - share, 1e-300))


def rejects(sums: Floats, squares: Floats, rest: Floats, more: int, c: float, count: int) -> Floats:
    """The probability that t on `count` seeds exceeds c, of which `more` come after those summed."""
    g = c * c * count / (count - 1 + c * c)
    a = 1 - g / more
    discriminant = sums**2 - a * (sums**2 - g * (squares + rest))
    root = np.sqrt(np.maximum(discriminant, 0.0))
    scale = math.sqrt(more)
    if a > 0:
        return np.asarray(ndtr(-(root - sums) / (a * scale)))
    between = ndtr((-sums - root) / (a * scale)) - ndtr((root - sums) / (a * scale))
    return np.asarray(np.where((discriminant > 0) & (sums > 0), between, 0.0))


def _root(probability: Callable[[float], float], target: float) -> float:
    low, high = 0.5, 100.0
    for _ in range(36):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) > target else (low, middle)
    return (low + high) / 2


def check(first: int, draws: int) -> bool:
    """Count how often a test at the table's levels rejects at any look, and say if that is alpha."""
    random = np.random.default_rng([SEED, first, 1])
    alpha, rejected, done = 0.025, 0, 0
    critical = [-stdtrit(n - 1, level_at(alpha, k, n, SHARES[3])) for k, n in _looks(first)]
    while done < draws:
        runs = random.standard_normal((20_000, 4 * first))
        over = [
            runs[:, :n].mean(axis=1) / (runs[:, :n].std(axis=1, ddof=1) / math.sqrt(n)) > c
            for (_, n), c in zip(_looks(first), critical, strict=True)
        ]
        rejected += int(np.any(over, axis=0).sum())
        done += len(runs)
    rate, error = rejected / done, math.sqrt(alpha * (1 - alpha) / done)
    met = abs(rate - alpha) < 4 * error
    print(f"looks after {first}, {2 * first}, {4 * first} seeds: {rate:.4f} (4 s.e. {4 * error:.4f})")
    return met


def _looks(first: int) -> list[tuple[int, int]]:
    return [(0, first), (1, 2 * first), (2, 4 * first)]


if __name__ == "__main__":
    sys.exit(main())
