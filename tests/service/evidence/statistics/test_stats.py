from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from whichopt.service.evidence.statistics.estimates import (
    Estimate,
    crossed_difference,
    mean_estimate,
    paired_difference,
    probability_best,
)

VALUES = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=12)


def test_an_interval_worked_by_hand() -> None:
    """1, 2, 3: mean 2, standard deviation 1, error 1 / sqrt(3), t(.975, 2) = 4.302653."""
    found = mean_estimate([1.0, 2.0, 3.0])
    assert found == pytest.approx((2.0, 1 / math.sqrt(3), 2))
    low, high = found.bounds(0.025)
    assert (low, high) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)))


@given(VALUES, st.sampled_from([0.025, 0.01, 0.05 / 48]))
@settings(deadline=None)
def test_intervals_are_scipys(values: list[float], tail: float) -> None:
    found = mean_estimate(values)
    error = stats.sem(values)
    low, high = found.bounds(tail)
    if error == 0:
        assert low == high == values[0]
    else:
        expected = stats.t.interval(1 - 2 * tail, len(values) - 1, loc=np.mean(values), scale=error)
        assert (low, high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=2, max_size=12))
@settings(deadline=None)
def test_the_paired_test_is_scipys(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = paired_difference(ours, theirs)
    if len({a - b for a, b in pairs}) == 1:
        assert found.error == 0
        assert found.above_zero(0.01) == (pairs[0][0] > pairs[0][1])
        return
    p = stats.ttest_rel(ours, theirs, alternative="greater").pvalue
    for level in (0.05, 0.01):
        if abs(p - level) > 1e-9:
            assert found.above_zero(level) == (p < level)


def test_rounding_is_no_difference() -> None:
    third = [1 / 3, 0.1, 0.7]
    rounded = [(value * 3) / 3 + 1e-17 for value in third]
    assert paired_difference(rounded, third)[:2] == (0.0, 0.0)
    shifted = [value + 0.1 for value in third]
    found = paired_difference(shifted, third)
    assert found.mean == pytest.approx(0.1)
    assert found.error == 0
    assert found.above_zero(1e-9)


def test_huge_values_overflow_nothing() -> None:
    found = paired_difference([1e300, 2e300, 1.5e300], [0.0, 1.0, 2.0])
    assert found.mean == pytest.approx(1.5e300)
    assert all(math.isfinite(value) for value in found)
    assert Estimate(1e308, 1e308, 2).bounds(1e-6) == (None, None)
    assert not Estimate(1e308, 1e308, 2).above_zero(1e-6)


def test_one_run_tells_no_spread() -> None:
    found = mean_estimate([0.3])
    assert found == Estimate(0.3, 0.0, 0)
    assert found.bounds(0.025) == (None, None)
    assert not found.above_zero(0.025)


def test_crossed_error_worked_by_hand() -> None:
    """Differences [[1, 2, 3], [3, 4, 5]]: row means 2 and 4, variance 2; column means 2, 3, 4, variance 1."""
    found = crossed_difference([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], [[0.0] * 3] * 2)
    assert found == pytest.approx((3.0, math.sqrt(2 / 2 + 1 / 3), 1))


def test_studies_that_agree_still_have_the_luck_of_the_seeds() -> None:
    """Three studies that chose one config are no three witnesses."""
    row = [0.1, -0.2, 0.4, 0.3]
    found = crossed_difference([row] * 3, [[0.0] * 4] * 3)
    alone = paired_difference(row, [0.0] * 4)
    assert found.error == pytest.approx(alone.error)
    assert found.df == 2


def test_the_crossed_error_is_conservative_in_expectation() -> None:
    """E[error^2] is var(u) / R + var(v) / S + 2 var(e) / (R S); the last term's true share is half that."""
    random = np.random.default_rng(5)
    R, S, jobs = 3, 5, 4000
    u, v = random.normal(0, 1.0, (jobs, R, 1)), random.normal(0, 0.7, (jobs, 1, S))
    e = random.normal(0, 0.5, (jobs, R, S))
    squares = [
        crossed_difference(table.tolist(), np.zeros((R, S)).tolist()).error ** 2 for table in u + v + e
    ]
    assert np.mean(squares) == pytest.approx(1 / R + 0.49 / S + 2 * 0.25 / (R * S), rel=0.06)


def test_the_probability_between_two_arms_is_a_t_distributions() -> None:
    """The posterior of the difference of two arms is its paired t with S - 1 degrees of freedom."""
    random = np.random.default_rng(0)
    ours, theirs = random.normal(0, 1, 6), random.normal(0.4, 1, 6)
    found = probability_best([ours.tolist(), theirs.tolist()], ["a", "b"], seed=3)
    t = stats.ttest_rel(theirs, ours).statistic
    assert found["a"] == pytest.approx(stats.t.cdf(t, 5), abs=4 * 0.5 / math.sqrt(2**14))


def test_probabilities_sum_to_one_and_share_exact_ties() -> None:
    row = [0.11, 0.37, 0.23, 0.31]
    found = probability_best([row, row, row, [v + 0.05 for v in row]], ["a", "b", "b", "c"], seed=0)
    assert found == {"a": 0.5, "b": 0.5, "c": 0.0}
    assert probability_best([[0.1], [0.2]], ["a", "b"], seed=0) == {"a": 0.5, "b": 0.5}
    random = np.random.default_rng(1)
    found = probability_best(random.normal(0, 1, (9, 4)).tolist(), list("aaabbbccc"), seed=0)
    assert sum(found.values()) == pytest.approx(1)


def test_a_probability_is_a_function_of_its_inputs() -> None:
    rows = np.random.default_rng(2).normal(0, 1, (3, 5)).tolist()
    first = probability_best(rows, ["a", "b", "c"], seed=7)
    assert first == probability_best(rows, ["a", "b", "c"], seed=7)
    assert first != probability_best(rows, ["a", "b", "c"], seed=8)
    shifts = [
        probability_best([[v - shift for v in rows[0]], *rows[1:]], ["a", "b", "c"], seed=7)["a"]
        for shift in (0.0, 0.2, 0.4, 0.8)
    ]
    assert all(less <= more for less, more in pairwise(shifts))
