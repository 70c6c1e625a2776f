"""Ranges, ticks and names of figures: round, few, apart, and nothing hides what matters."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whichopt.service.figures.axes import Range, even_ticks, fit, log_ticks, whole_ticks
from whichopt.service.figures.figure import Metric, plain
from whichopt.service.figures.labels import spread
from whichopt.service.states import Direction

LOSS = Metric("nll", Direction.MINIMIZE)
SCORE = Metric("accuracy", Direction.MAXIMIZE)
GOOD = [0.1 + 0.001 * i for i in range(40)]


@pytest.mark.parametrize("bad", [3.0, 10_000.0])
def test_what_lies_far_out_is_drawn_at_the_edge_and_said(bad: float) -> None:
    shown = fit([*GOOD, bad, bad], LOSS)
    assert shown.high < 0.2
    assert not shown.log
    assert shown.beyond >= 2
    assert shown.said(LOSS, "left").startswith(f" {shown.beyond} values above 0.13")
    assert shown.said(LOSS, "left").endswith("drawn at the left edge.")
    assert shown.share(bad) == 1.0


def test_a_bad_score_is_a_low_one() -> None:
    shown = fit([*(1 - value for value in GOOD), -50.0], SCORE)
    assert shown.low > 0.8
    assert shown.beyond >= 1
    assert " below " in shown.said(SCORE, "left")


def test_nothing_is_cut_without_need() -> None:
    shown = fit(GOOD, LOSS)
    assert (shown.beyond, shown.said(LOSS, "left")) == (0, "")
    assert shown.low < min(GOOD) < max(GOOD) < shown.high


def test_nothing_worse_than_a_constant_predictor_takes_room() -> None:
    values = [0.1 * i for i in range(1, 30)]
    shown = fit(values, LOSS, worst=1.0)
    assert shown.worst == 1.0
    assert shown.beyond == sum(value > 1.0 for value in values)
    assert fit([2.0, 3.0], LOSS, worst=1.0).beyond == 0, "if all are worse, they are all shown"


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("found", [[1e300, 1e308], [1e308, -1e308], [5e-324], [0.0, 1e-320], [5e-324, 1e308]])
def test_no_value_is_too_large_or_too_small_for_an_axis(found: list[float], direction: Direction) -> None:
    shown = fit(found, Metric("loss", direction), always=found[:1])
    assert shown.low < shown.high
    assert all(shown.low <= tick <= shown.high for tick in shown.ticks())
    assert all(0 <= shown.share(value) <= 1 for value in found)


def test_what_must_be_inside_is_inside() -> None:
    assert fit([*GOOD, 3.0], LOSS, always=[3.0]).high > 3.0


@pytest.mark.parametrize(
    ("values", "log"), [([0.01, 0.5], True), ([0.1, 0.5], False), ([0.0, 5.0], False), ([-1.0, 5.0], False)]
)
def test_values_over_a_decade_are_on_a_log_scale(values: list[float], *, log: bool) -> None:
    assert fit(values, LOSS).log is log


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.sampled_from([LOSS, SCORE]))
def test_any_values_have_a_range_with_ticks_inside(values: list[float], metric: Metric) -> None:
    shown = fit(values, metric)
    assert shown.low < shown.high
    ticks = shown.ticks(5)
    assert len(ticks) <= 6
    slack = 1e-6 * (shown.high - shown.low)
    assert all(shown.low - slack <= tick <= shown.high + slack for tick in ticks)
    assert 0 <= shown.share(metric.best(values)) <= 1


def test_ticks_are_round() -> None:
    assert even_ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1] or even_ticks(0, 1, 5) == [0, 0.5, 1]
    assert log_ticks(0.04, 3, 6) == [0.1, 0.3, 1] or log_ticks(0.04, 3, 6) == [0.05, 0.1, 0.2, 0.5, 1, 2]
    assert log_ticks(0.11, 0.19, 5) == even_ticks(0.11, 0.19, 5), "too little for round ones"


@pytest.mark.parametrize(("last", "most"), [(2, 8), (3, 5), (8, 4), (17, 5), (5000, 6)])
def test_counts_have_whole_ticks(last: int, most: int) -> None:
    ticks = whole_ticks(1, last, most)
    assert ticks
    assert len(ticks) <= most + 1
    assert all(isinstance(tick, int) and 1 <= tick <= last for tick in ticks)


def test_a_range_and_its_shares_are_each_others_reverse() -> None:
    for shown in (Range(0.01, 10.0, log=True), Range(-3.0, 7.0)):
        for share in (0.0, 0.3, 1.0):
            assert shown.share(shown.value(share)) == pytest.approx(share)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=12))
def test_names_keep_apart_and_inside(heights: list[float]) -> None:
    placed = spread(heights, room=200.0, gap=15.0)
    ordered = sorted(placed)
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 200 + 1e-9
    assert all(b - a >= 15 - 1e-6 for a, b in pairwise(ordered))
    by_height = [placed[i] for i in sorted(range(len(heights)), key=lambda i: heights[i])]
    assert by_height == ordered, "in the order of their lines"


def test_more_names_than_fit_are_spread_evenly() -> None:
    assert sorted(spread([5.0] * 5, room=20.0, gap=15.0)) == [0, 5, 10, 15, 20]


@pytest.mark.parametrize(
    ("value", "text"), [(0.01, "0.01"), (1e-6, "1e-6"), (2.5e-4, "2.5e-4"), (0.0, "0"), (1e16, "1e16")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert plain(value) == text
