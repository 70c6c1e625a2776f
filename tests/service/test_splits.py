"""The four splits: what holds for every table and every seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import RANDOM, TEST, TRAIN, VALIDATION, CannotSplit, divided, sizes_of
from whichopt.service.uploads import Split

GIVEN, GROUPS, TIME = (Split.model_validate(f"{kind}:c") for kind in ("column", "group", "time"))
patient = settings(deadline=None, max_examples=50)

SEEDS = (0, 1, 7, 2**53 - 1)

labels = st.lists(st.integers(0, 4), min_size=3, max_size=120).map(np.array)
sizes_of_groups = st.lists(st.one_of(st.integers(1, 6), st.integers(1, 400)), min_size=3, max_size=60)


def _groups(counts: list[int]) -> np.ndarray:
    """Group codes that skip numbers and are not in order."""
    codes = np.repeat(np.arange(len(counts)) * 7 - 1, counts)
    return np.random.default_rng(0).permutation(codes).astype(np.int32)


def _draws(
    split: Split, strata: np.ndarray | None, rows: int, **columns: Any
) -> list[tuple[np.ndarray, ...]]:
    """The parts for several seeds; they are disjoint, of the promised sizes, and test is the same."""
    given_or_group = {name: column for name, column in columns.items() if name != "time"}
    sizes = sizes_of(split, rows, **given_or_group)
    assert min(sizes.train, sizes.validation, sizes.test) >= 1
    draws: list[tuple[np.ndarray, ...]] = []
    for seed in SEEDS:
        parts = divided(split, strata, rows, sizes, seed, **columns)
        assert Sizes(*map(len, parts)) == sizes
        together = np.concatenate(parts)
        assert len(np.unique(together)) == len(together)
        assert together.min() >= 0
        assert together.max() < rows
        assert all((np.diff(part) > 0).all() for part in parts)
        again = divided(split, strata, rows, sizes, seed, **columns)
        assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))
        draws.append(parts)
    assert len({parts[2].tobytes() for parts in draws}) == 1
    return draws


@patient
@given(labels)
@example(np.repeat([0, 1], [5, 95]))
@example(np.zeros(3, dtype=int))
def test_random_keeps_the_share_of_every_class(classes: np.ndarray) -> None:
    rows = len(classes)
    for parts in _draws(RANDOM, classes, rows):
        assert sum(map(len, parts)) == rows
        for part in parts:
            found = Counter(classes[part].tolist())
            for label, count in Counter(classes.tolist()).items():
                # Test is off by less than one row, validation by one more of what it left, train by both.
                assert abs(found[label] - count * len(part) / rows) < 2


def test_a_class_with_five_rows_is_in_every_part() -> None:
    classes = np.random.default_rng(1).permutation(np.repeat([0, 1], [5, 995]))
    for parts in _draws(RANDOM, classes, 1000):
        assert [Counter(classes[part].tolist())[0] for part in parts] == [3, 1, 1]


def test_a_random_split_redraws_validation() -> None:
    assert len({parts[1].tobytes() for parts in _draws(RANDOM, None, 100)}) == len(SEEDS)


@patient
@given(st.lists(st.sampled_from([TRAIN, VALIDATION, TEST]), max_size=80))
def test_parts_that_a_column_gives_are_kept(more: list[int]) -> None:
    parts_of = np.array([TRAIN, VALIDATION, TEST, *more], dtype=np.int8)
    for train, validation, test in _draws(GIVEN, None, len(parts_of), given=parts_of):
        assert np.array_equal(train, np.flatnonzero(parts_of == TRAIN))
        assert np.array_equal(validation, np.flatnonzero(parts_of == VALIDATION))
        assert np.array_equal(test, np.flatnonzero(parts_of == TEST))


@patient
@given(labels, st.integers(1, 20))
def test_validation_is_redrawn_from_train_if_the_column_has_none(classes: np.ndarray, tests: int) -> None:
    rows = len(classes) + tests
    strata = np.concatenate([classes, np.zeros(tests, dtype=int)])
    parts_of = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [len(classes), tests])
    draws = _draws(GIVEN, strata, rows, given=parts_of)
    for train, validation, test in draws:
        assert np.array_equal(test, np.arange(len(classes), rows))
        found = Counter(strata[validation].tolist())
        for label, count in Counter(classes.tolist()).items():
            assert abs(found[label] - count * len(validation) / len(classes)) < 1
        assert len(train) + len(validation) == len(classes)
    if len(classes) > 40:
        assert len({validation.tobytes() for _, validation, _ in draws}) > 1


@pytest.mark.parametrize("parts", [[0, 0, 1], [1, 1, 2], [0, 2], [2, 2, 2]])
def test_a_column_that_leaves_a_part_empty_is_refused(parts: list[int]) -> None:
    with pytest.raises(CannotSplit, match="split=random"):
        sizes_of(GIVEN, len(parts), given=np.array(parts, dtype=np.int8))


@patient
@given(sizes_of_groups)
@example([1, 1, 1])
@example([1000, 1, 1])
@example([1000, 1000, 1])
@example([5000] + [3] * 50)
@example([1, 1, 1, 1000, 1000, 1000, 1000, 1000])
@example([1] * 3000)
def test_no_group_is_on_two_sides(counts: list[int]) -> None:
    groups = _groups(counts)
    for parts in _draws(GROUPS, None, len(groups), group=groups):
        sides = [set(groups[part].tolist()) for part in parts]
        assert len(set.union(*sides)) == sum(map(len, sides))
        assert set(np.flatnonzero(np.isin(groups, list(sides[2]))).tolist()) == set(parts[2].tolist())


@pytest.mark.parametrize(
    "counts",
    [[10] * 50, [1] * 4000, [400, *[10] * 160], [37, 55, 41, 62, 48, 33, 59, 44, 51, 70], [3, 4, 5] * 40],
)
def test_groups_give_parts_of_about_the_usual_shares_and_redraw_validation(counts: list[int]) -> None:
    rows = sum(counts)
    groups = _groups(counts)
    draws = _draws(GROUPS, None, rows, group=groups)
    train, validation, test = (len(part) for part in draws[0])
    assert test == pytest.approx(0.2 * rows, abs=0.05 * rows)
    assert validation == pytest.approx(0.25 * (rows - test), abs=0.1 * rows)
    assert train + validation + test >= 0.9 * rows
    assert len({part.tobytes() for _, part, _ in draws}) > 1


def test_a_group_that_is_too_large_for_a_fold_always_trains() -> None:
    counts = [4000, *[10] * 400]
    groups = _groups(counts)
    sizes = sizes_of(GROUPS, len(groups), group=groups)
    assert sizes.train > 4000
    for train, _, _ in _draws(GROUPS, None, len(groups), group=groups):
        assert np.count_nonzero(groups[train] == -1) >= 4000 - 0.1 * len(groups)


def test_two_groups_cannot_make_three_parts() -> None:
    with pytest.raises(CannotSplit, match="2 groups are too few"):
        sizes_of(GROUPS, 100, group=np.repeat([3, 9], 50))


@patient
@given(st.lists(st.one_of(st.integers(0, 5), st.none()), min_size=3, max_size=80))
def test_time_tests_on_the_latest_rows(moments: list[int | None]) -> None:
    time = np.array([np.nan if moment is None else moment for moment in moments], dtype=float)
    draws = _draws(TIME, None, len(time), time=time)
    assert len({tuple(part.tobytes() for part in parts) for parts in draws}) == 1
    earliest_first = np.where(np.isnan(time), -np.inf, time)
    train, validation, test = draws[0]
    assert sum(map(len, draws[0])) == len(time)
    for before, after in ((train, validation), (validation, test)):
        last, first = earliest_first[before].max(), earliest_first[after].min()
        assert last <= first
        ties = earliest_first == last
        if last == first:  # the later row is the later one
            assert before[ties[before]].max() < after[ties[after]].min()


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(CannotSplit, match="2 rows are too few"):
        sizes_of(RANDOM, 2)


def test_sizes_of_another_table_are_noticed() -> None:
    groups = _groups([5, 6, 7, 8])
    with pytest.raises(CannotSplit, match="other sizes"):
        divided(GROUPS, None, len(groups), Sizes(25, 1, 0), 0, group=groups)
