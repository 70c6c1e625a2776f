"""The levels of several looks: what the table says, between its rows, and beyond them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from whichopt.service.evidence.statistics.boundaries import ALPHAS, RATIOS
from whichopt.service.evidence.statistics.sequential import level_at
from whichopt.service.planning.looks import SHARES

THREE = SHARES[3]


def test_the_first_look_has_its_share_and_later_ones_more() -> None:
    """What an earlier look rejects, a later one would mostly reject too, so it costs less than its share."""
    levels = [level_at(0.025, look, seeds, THREE) for look, seeds in ((0, 6), (1, 12), (2, 24))]
    assert levels[0] == pytest.approx(0.025 * THREE[0])
    assert all(0.025 * share < level < 0.025 for level, share in zip(levels[1:], THREE[1:], strict=True))
    assert sum(levels) > 0.025


@pytest.mark.parametrize("first", [4, 6, 9, 20])
def test_together_they_spend_the_level(first: int) -> None:
    """Counted in 200,000 experiments; four standard errors of the count, and 1% for the table."""
    random = np.random.default_rng(first)
    counted, jobs = 0, 200_000
    looks = [(look, first * 2**look) for look in range(3)]
    critical = [stats.t.isf(level_at(0.025, look, seeds, THREE), seeds - 1) for look, seeds in looks]
    for _ in range(20):
        runs = random.standard_normal((jobs // 20, 4 * first))
        rejected = np.zeros(len(runs), dtype=bool)
        for (_, seeds), c in zip(looks, critical, strict=True):
            part = runs[:, :seeds]
            rejected |= part.mean(axis=1) > c * part.std(axis=1, ddof=1) / np.sqrt(seeds)
        counted += int(rejected.sum())
    assert counted / jobs == pytest.approx(0.025, abs=4 * np.sqrt(0.025 * 0.975 / jobs) + 0.01 * 0.025)


def test_between_the_rows_of_the_table_it_is_between_them() -> None:
    for a, b in pairwise(sorted(first for first in RATIOS if first)):
        for middle in range(a + 1, b):
            ends = sorted(level_at(0.025, 2, 4 * first, THREE) for first in (a, b))
            assert ends[0] <= level_at(0.025, 2, 4 * middle, THREE) <= ends[1]
    assert level_at(0.025, 2, 4_000_000, THREE) == pytest.approx(0.025 * RATIOS[0][0][1], rel=1e-3)
    smaller = [level_at(alpha, 2, 24, THREE) for alpha in (0.025, 0.02, 0.0125)]
    assert all(a > b for a, b in pairwise(smaller))


@pytest.mark.parametrize(
    ("alpha", "look", "seeds", "shares"),
    [
        (0.025, 2, 25, THREE),  # no planned look: a deadline came first
        (0.025, 1, 4, THREE),  # below the table
        (ALPHAS[-1] / 2, 2, 24, THREE),
        (0.025, 1, 10, SHARES[2]),
    ],
)
def test_what_the_table_lacks_has_its_share(
    alpha: float, look: int, seeds: int, shares: tuple[float, ...]
) -> None:
    assert level_at(alpha, look, seeds, shares) == pytest.approx(alpha * shares[look])
