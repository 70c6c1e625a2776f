from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.builders.confirm_tables import confirm_table_of
from whichopt.service.evidence.statistics.estimates import (
    Estimate,
    crossed_difference,
    paired_difference,
    unspent,
)
from whichopt.service.evidence.statistics.intervals import gaps_to_best
from whichopt.service.evidence.statistics.pairwise import all_crossed, all_paired
from whichopt.service.evidence.verdict.margin import worsened
from whichopt.service.evidence.verdict.skewness import skewness_of
from whichopt.service.evidence.verdict.winners import config_gaps, config_verdict, study_verdict
from whichopt.service.spec import Margin

ROWS = st.lists(st.lists(st.integers(-50, 50).map(float), min_size=4, max_size=4), min_size=2, max_size=5)


@given(ROWS)
@settings(max_examples=50, deadline=None)
def test_all_pairs_at_once_are_the_single_ones(rows: list[list[float]]) -> None:
    found = all_paired(rows)
    tables = [rows, rows[::-1]]
    crossed = all_crossed(tables)
    for i, ours in enumerate(rows):
        for k, theirs in enumerate(rows):
            single = paired_difference(ours, theirs)
            assert (found.means[i, k], found.errors[i, k], found.df) == pytest.approx(single, abs=1e-9)
    single = crossed_difference(*tables)
    assert (crossed.means[0, 1], crossed.errors[0, 1], crossed.df) == pytest.approx(single, abs=1e-9)


def test_with_two_it_is_the_paired_t_interval() -> None:
    """Both may be the best: the one is from 0 to what it may be worse by, and so is the other."""
    ours, theirs = [1.0, 2.0, 3.0, 2.5], [1.2, 1.9, 3.4, 2.6]
    found = gaps_to_best(all_paired([ours, theirs]), [0, 1], unspent)
    interval = stats.ttest_rel(theirs, ours).confidence_interval(0.95)
    assert found.possible == (0, 1)
    assert found.bounds[1] == pytest.approx((0.0, interval.high))
    assert found.bounds[0] == pytest.approx((0.0, -interval.low))


def test_a_clear_best_leaves_the_many_to_one_comparisons() -> None:
    random = np.random.default_rng(0)
    rows = [list(mu + 0.1 * random.standard_normal(6)) for mu in (0.0, 3.0, 5.0, 5.1)]
    found = gaps_to_best(all_paired(rows), [0, 1, 2, 3], unspent)
    assert found.possible == (0,)
    assert found.bounds[0] == (0.0, 0.0)
    for i in (1, 2, 3):
        assert found.bounds[i] == pytest.approx(paired_difference(rows[i], rows[0]).bounds(0.05 / 6))


def test_one_seed_bounds_nothing() -> None:
    found = gaps_to_best(all_paired([[1.0], [2.0]]), [0, 1], unspent)
    assert found.bounds == ((None, None), (None, None))


TABLE = {
    "adam": [[1.0, 1.1, 0.9, 1.05, 0.95], [1.5, 1.6, 1.4, 1.5, 1.55]],
    "sgd": [[1.2, 1.32, 1.1, 1.26, 1.13], [1.8, 1.7, 1.9, 1.75, 1.8]],
}
"""sgd's best is worse by 0.2 on each seed, give or take 0.02: by 20 percent."""


@pytest.mark.parametrize(
    ("margin", "verdict", "within"),
    [
        (None, "winner", ()),
        (Margin(absolute=0.1), "winner", ("adam",)),
        (Margin(percent=10), "winner", ("adam",)),
        (Margin(absolute=0.19), "tie", ("adam",)),
        (Margin(percent=19), "tie", ("adam",)),
        (Margin(absolute=0.5), "tie", ("adam", "sgd")),
        (Margin(percent=50), "tie", ("adam", "sgd")),
    ],
)
def test_a_rival_is_beaten_by_more_than_the_margin(
    margin: Margin | None, verdict: str, within: tuple[str, ...]
) -> None:
    table = confirm_table_of(TABLE)
    assert config_verdict(table, margin=margin).verdict == verdict
    assert config_gaps(table, margin=margin).within == within


def test_the_margin_holds_for_the_optimizers_too() -> None:
    random = np.random.default_rng(0)
    table = confirm_table_of(
        {
            label: [list(mu + 0.01 * random.standard_normal(5)) for _ in range(5)]
            for label, mu in (("adam", 1.0), ("sgd", 1.3))
        }
    )
    for margin, verdict, within in (
        (None, "winner", ()),
        (Margin(absolute=0.2), "winner", ("adam",)),
        (Margin(percent=29.9), "tie", ("adam",)),
        (Margin(percent=60), "tie", ("adam", "sgd")),
    ):
        found = study_verdict(table, 4, margin=margin)
        assert found is not None
        assert (found.verdict, found.within) == (verdict, within)


def test_a_percentage_makes_worse_whatever_the_sign() -> None:
    assert worsened([2.0, 4.0], Margin(percent=10)) == pytest.approx([2.2, 4.4])
    assert worsened([-2.0, -4.0], Margin(percent=10)) == pytest.approx([-1.8, -3.6])
    assert worsened([-2.0, -4.0], Margin(absolute=1)) == [-1.0, -3.0]


def test_skewness_is_seen_and_makes_the_test_stricter_where_it_errs() -> None:
    random = np.random.default_rng(3)

    def table(skewed: bool) -> dict[str, list[list[float]]]:
        noise = random.standard_exponential if skewed else random.standard_normal
        return {
            label: [list(scale * noise(20)) for _ in range(4)]
            for label, scale in (("adam", 0.5), ("adamw", 0.7), ("sgd", 2.0))
        }

    assert skewness_of(confirm_table_of(table(False))).kappa == 0
    skewness = skewness_of(confirm_table_of(table(True)))
    assert 0.5 < skewness.kappa < 4
    steady, erratic = 0, 8
    assert skewness.of_difference(steady, erratic) < -0.2 < 0.2 < skewness.of_difference(erratic, steady)
    lead = Estimate(1.0, 0.2, 11)
    assert lead.low(0.01, 1.0) == lead.low(0.01)
    assert lead.low(0.01, -1.0) < lead.low(0.01)
    critical = stats.t.isf(0.01, 11)
    expected = 1.0 - 0.2 * (critical + 1 / math.sqrt(12) * (2 * critical**2 + 1) / 6)
    assert lead.low(0.01, -1.0) == pytest.approx(expected)


def test_fewer_than_five_arms_never_agree_on_a_skewness() -> None:
    """However skewed: the sum of four numbers is at most twice the root of the sum of their squares."""
    random = np.random.default_rng(0)
    for arms in (1, 2, 3, 4):
        tail = [0.01 * random.standard_normal(8) + 5.0 * (np.arange(8) == arm) for arm in range(arms)]
        assert skewness_of(confirm_table_of({"adam": [list(row) for row in tail]})).kappa == 0
