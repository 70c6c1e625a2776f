"""Lanes: right is better in both directions, outliers stand at the left, ticks are few, round and apart."""

from __future__ import annotations

import collections
import itertools
import math
import random

import pytest

from whichopt.service.pages.job.acts.intervals import scale_of
from whichopt.service.pages.job.lanes import EDGE, NEAR, in_columns, jitter, scale
from whichopt.service.states import Direction

LOSSES = [0.061 * math.exp(abs(random.Random(seed).gauss(0, 0.6))) for seed in range(90)]
SCORES = [1 - loss for loss in LOSSES]


@pytest.mark.parametrize(
    ("values", "direction"), [(LOSSES, Direction.MINIMIZE), (SCORES, Direction.MAXIMIZE)]
)
def test_right_is_better(values: list[float], direction: Direction) -> None:
    found = scale(values, direction)
    ordered = sorted(values, key=lambda value: direction.sign * value)
    places = [found.at(value) for value in ordered]
    assert places == sorted(places, reverse=True)
    assert 80 < places[0] < 100 - EDGE
    ticks = found.ticks
    rising = [float(tick.text) for tick in ticks]
    assert rising == sorted(rising, reverse=direction is Direction.MINIMIZE)


def test_what_is_far_worse_stands_at_the_left() -> None:
    found = scale([*LOSSES, 1.55, 300.0], Direction.MINIMIZE)
    assert found.clamped
    assert found.beyond(1.55, 300.0, *LOSSES) >= 2
    assert found.counts([1.55, 300.0, 0.0], 60) == {0: 2, 59: 1}
    assert found.at(1.55) == found.at(300.0) == EDGE
    # The same values without outliers use the whole lane.
    even = scale([0.1, 0.12, 0.14, 0.16], Direction.MINIMIZE)
    assert not even.clamped
    assert even.at(0.16) < 30


@pytest.mark.parametrize(
    ("values", "direction"),
    [
        (LOSSES, Direction.MINIMIZE),
        (SCORES, Direction.MAXIMIZE),
        ([0.1], Direction.MINIMIZE),
        ([0.0, 0.0], Direction.MINIMIZE),
        ([-3.0, 12.0, 5.0], Direction.MINIMIZE),
        ([1e-9, 1e-4, 3.0, 1e5], Direction.MINIMIZE),
        ([0.999, 0.9991, 0.99912], Direction.MAXIMIZE),
        ([12000.0, 12500.0, 13000.0], Direction.MINIMIZE),
        ([1e30, 1e31], Direction.MAXIMIZE),
    ],
)
def test_ticks_are_few_and_apart(values: list[float], direction: Direction) -> None:
    ticks = scale(values, direction).ticks
    assert 2 <= len(ticks) <= 11
    assert all(0 < tick.at < 100 for tick in ticks)
    assert all(b.at - a.at >= NEAR for a, b in itertools.pairwise(ticks))
    major = [tick.at for tick in ticks if not tick.minor]
    assert major
    assert all(b - a >= 20 for a, b in itertools.pairwise(major))
    assert len({tick.text for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("values", "direction"), [(LOSSES, Direction.MINIMIZE), (SCORES, Direction.MAXIMIZE)]
)
def test_bars_stand_at_the_places_of_their_values(values: list[float], direction: Direction) -> None:
    found = scale(values, direction)
    assert found.counts(values, 60) == collections.Counter(int(found.at(value) * 0.6) for value in values)


def test_a_somewhat_better_value_moves_nothing() -> None:
    best = min(LOSSES)
    moved = [scale([*LOSSES, best * factor], Direction.MINIMIZE) for factor in (0.999, 0.99, 0.98)]
    assert scale(LOSSES, Direction.MINIMIZE) in moved


def test_no_values_are_no_error() -> None:
    for direction in Direction:
        found = scale([], direction)
        assert EDGE <= found.at(0.3) <= 100 - EDGE
        assert scale([math.nan, math.inf], direction) == found
        assert found.ticks == []


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize(
    "values",
    [[1e300, 1e308], [1.7e308, 1.7e308], [1e308, -1e308], [5e-324], [0.0, 1e-320], [5e-324, 1.0, 1e308]],
)
def test_no_value_is_too_large_or_too_small_for_a_lane(values: list[float], direction: Direction) -> None:
    shared = scale(values, direction)
    assert all(math.isfinite(tick.at) for tick in shared.ticks)
    places = [shared.at(value) for value in sorted(values, key=lambda value: -direction.sign * value)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert sum(shared.counts(values, 60).values()) == len(values)
    assert scale_of([(min(values), max(values))], direction).worst != shared.best


def test_a_mark_never_moves_up_or_down() -> None:
    heights = [jitter(0, number) for number in range(24)]
    assert heights == [jitter(0, number) for number in range(24)]
    assert all(25 <= height <= 80 for height in heights)
    assert len({round(height) for height in heights}) > 15


def test_values_below_each_other_have_as_many_decimals() -> None:
    assert [*map(in_columns([0.0676, 0.1, 1.55]), (0.0676, 0.1, 1.55, None))] == [
        "0.06760",
        "0.10000",
        "1.55000",
        "",
    ]
    assert [*map(in_columns([0.95, 0.9612]), (0.95, 0.9612))] == ["0.9500", "0.9612"]
    assert [*map(in_columns([1e-9, 3.0]), (1e-9, 3.0))] == ["1e-09", "3"]
    assert in_columns([])(0.5) == "0.5"
