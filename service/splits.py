"""The division of a table's rows into training, validation and test: arithmetic of indices alone.

The reader of a file counts by it and workers divide by it, so what a job was told is what it trains on. The
test rows are the same for every seed, and the sizes are, too; a seed redraws validation if the rule of the
split lets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING, Any, NamedTuple

from whichopt.service.catalog.shapes import Sizes
from whichopt.service.uploads import Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Labels = npt.NDArray[Any]
    Indices = npt.NDArray[np.int64]
    Parts = tuple[Indices, Indices, Indices]

RANDOM = Split()

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.25
"""Share of validation examples among those that the test split leaves."""

TEST_SEED = 0

TRAIN, VALIDATION, TEST = range(3)
"""Parts as a column that gives them is encoded."""

FOLDS = 20
"""Most folds of groups of which a seed chooses some for validation."""

SURPLUS = 0.1
"""Share of rows that may be left out, or validation be larger or smaller, for the sake of more folds."""

BUNDLES = 1000
"""The largest groups are dealt one by one; the others go in so many bundles."""


class CannotSplit(ValueError):
    """The rows cannot be divided by the rule; the text says why, and what to do."""


def sizes_of(split: Split, rows: int, *, given: Labels | None = None, group: Labels | None = None) -> Sizes:
    """Return the sizes of the three parts, which hold for every seed.

    Args:
        split: the rule.
        rows: the number of rows.
        given: the part of each row (TRAIN, VALIDATION, TEST), for a split by a column.
        group: the group of each row, for a split by groups.

    Raises:
        CannotSplit: a part would be empty.
    """
    if split.kind == "column":
        assert given is not None
        return _given_sizes(given)
    if split.kind == "group":
        assert group is not None
        return _grouped(group).sizes
    if rows < 3:
        raise CannotSplit(f"{rows} rows are too few: training, validation and test need one each")
    test = max(1, round(rows * TEST_SHARE))
    validation = _validation_of(rows - test)
    return Sizes(rows - test - validation, validation, test)


def divided(
    split: Split,
    strata: Labels | None,
    rows: int,
    sizes: Sizes,
    seed: int,
    *,
    given: Labels | None = None,
    group: Labels | None = None,
    time: Labels | None = None,
) -> Parts:
    """Return the rows of train, validation and test, each in rising order.

    Args:
        split: the rule.
        strata: the classes whose shares a draw keeps, up to one row; None if there are none.
        rows: the number of rows.
        sizes: the sizes of the parts, as `sizes_of` gives them.
        seed: redraws validation, and nothing else.
        given: as for `sizes_of`.
        group: as for `sizes_of`.
        time: the time of each row, for a split by time; a row without one (NaN) is among the earliest.

    Raises:
        CannotSplit: the rows do not give parts of these sizes.
    """
    import numpy as np

    if split.kind == "column":
        assert given is not None
        parts = _by_column(given, strata, sizes, seed)
    elif split.kind == "group":
        assert group is not None
        parts = _by_group(_grouped(group), sizes, seed)
    elif split.kind == "time":
        assert time is not None
        order = _in_time(time)
        early, late = rows - sizes.test - sizes.validation, rows - sizes.test
        parts = np.sort(order[:early]), np.sort(order[early:late]), np.sort(order[late:])
    else:
        labels = _labels(strata, rows)
        rest, test = _taken(labels, np.arange(rows), sizes.test, TEST_SEED)
        train, validation = _taken(labels, rest, sizes.validation, seed)
        parts = train, validation, test
    if Sizes(*map(len, parts)) != sizes:
        found, wanted = Sizes(*map(len, parts)), sizes
        raise CannotSplit(f"split {split} gives parts of other sizes: {found} instead of {wanted}")
    return parts


def outside_test(
    split: Split,
    strata: Labels | None,
    rows: int,
    sizes: Sizes,
    *,
    given: Labels | None = None,
    group: Labels | None = None,
    time: Labels | None = None,
) -> npt.NDArray[np.bool_]:
    """Tell of each row whether it is outside the test part, which every seed has alike.

    The arguments are as for `divided`.
    """
    import numpy as np

    outside = np.ones(rows, dtype=bool)
    if split.kind == "column":
        assert given is not None
        outside[given == TEST] = False
    elif split.kind == "group":
        assert group is not None
        outside[_grouped(group).fold < 0] = False
    elif split.kind == "time":
        assert time is not None
        outside[_in_time(time)[rows - sizes.test :]] = False
    else:
        ordered, chosen = _drawn(_labels(strata, rows), np.arange(rows), sizes.test, TEST_SEED)
        outside[ordered[chosen]] = False
    return outside


def _in_time(time: Labels) -> Indices:
    import numpy as np

    return np.argsort(np.where(np.isnan(time), -np.inf, time), kind="stable")


def _labels(strata: Labels | None, rows: int) -> Labels:
    import numpy as np

    return np.zeros(rows) if strata is None else strata


def _taken(labels: Labels, rows: Indices, count: int, seed: int) -> tuple[Indices, Indices]:
    """`rows` without `count` of them, and those."""
    import numpy as np

    ordered, chosen = _drawn(labels, rows, count, seed)
    return np.sort(ordered[~chosen]), np.sort(ordered[chosen])


def _drawn(labels: Labels, rows: Indices, count: int, seed: int) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """The shuffled rows in label order, and which of them are drawn: every so manieth, `count` in all."""
    import numpy as np

    shuffled = np.random.default_rng(seed).permutation(rows)
    ordered = shuffled[np.argsort(labels[shuffled], kind="stable")]
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[((np.arange(count) + 0.5) * len(rows) / count).astype(np.int64)] = True
    return ordered, chosen


def _validation_of(rest: int) -> int:
    return max(1, round(rest * VALIDATION_SHARE))


# -- parts that a column gives -------------------------------------------------------------------------


def _given_sizes(given: Labels) -> Sizes:
    import numpy as np

    train, validation, test = (int(np.count_nonzero(given == part)) for part in (TRAIN, VALIDATION, TEST))
    if not test:
        raise CannotSplit("the column marks no row as test; mark some, or ask for split=random")
    if not train or train + validation < 2:
        raise CannotSplit("the column marks too few rows as train; mark more, or ask for split=random")
    if not validation:
        validation = _validation_of(train)
        train -= validation
    return Sizes(train, validation, test)


def _by_column(given: Labels, strata: Labels | None, sizes: Sizes, seed: int) -> Parts:
    import numpy as np

    train, validation, test = (np.flatnonzero(given == part) for part in (TRAIN, VALIDATION, TEST))
    if not len(validation):
        train, validation = _taken(_labels(strata, len(given)), train, sizes.validation, seed)
    return train, validation, test


# -- groups --------------------------------------------------------------------------------------------


class _Grouped(NamedTuple):
    """Rows by group: the fold of each row, of which a seed chooses `chosen` of `folds` for validation.

    Rows of the test part have fold -1, and rows that train whatever the seed is have fold `folds`.
    """

    fold: Indices
    folds: int
    chosen: int
    sizes: Sizes


class _Dealt(NamedTuple):
    fold: list[int]  # of each bundle, the largest first
    folds: int
    chosen: int
    train: int
    validation: int


def _grouped(group: Labels) -> _Grouped:
    import numpy as np

    _, code, counts = np.unique(group, return_inverse=True, return_counts=True)
    if len(counts) < 3:
        raise CannotSplit(f"{len(counts)} groups are too few: training, validation and test need one each")
    place = np.empty(len(counts), dtype=np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    bundle = np.where(place < BUNDLES, place, BUNDLES + place % BUNDLES)
    of_row = bundle[code.reshape(-1)]
    rows = np.bincount(of_row)
    tested = _tested(rows.tolist())
    rest = [int(one) for one in np.argsort(-rows, kind="stable") if one not in tested]
    dealt = _dealt([int(rows[one]) for one in rest])
    fold = np.full(len(rows), -1)
    fold[rest] = dealt.fold
    test = int(sum(rows[one] for one in tested))
    return _Grouped(fold[of_row], dealt.folds, dealt.chosen, Sizes(dealt.train, dealt.validation, test))


def _tested(rows: list[int]) -> set[int]:
    """Return the bundles of the test part: in a random order, each that brings it nearer to its share.

    What is left has as many rows as test beside its largest bundle, so that validation can be as large.
    """
    import numpy as np

    total, taken, tested = sum(rows), 0, set[int]()
    wanted = total * TEST_SHARE
    largest_first = sorted(range(len(rows)), key=rows.__getitem__, reverse=True)
    for one in np.random.default_rng(TEST_SEED).permutation(len(rows)).tolist():
        more = taken + rows[one]
        largest = next(rows[other] for other in largest_first if other != one and other not in tested)
        if abs(more - wanted) < abs(taken - wanted) and total - more - largest >= more:
            tested.add(one)
            taken = more
    return tested or {min(range(len(rows)), key=rows.__getitem__)}


def _dealt(rows: list[int]) -> _Dealt:
    """Deal bundles, the largest first, to the most folds that lose few rows and give validation its share.

    A bundle that is too large for a fold trains whatever the seed is.
    """
    wanted, best, least = sum(rows) * VALIDATION_SHARE, None, float("inf")
    for dealt in _deals(rows):
        lost = sum(rows) - dealt.train - dealt.validation
        off = lost + abs(dealt.validation - wanted)
        if off <= SURPLUS * sum(rows):
            return dealt
        if off < least:
            best, least = dealt, off
    assert best is not None  # two bundles have two deals
    return best


def _deals(rows: list[int]) -> Iterator[_Dealt]:
    for folds in range(min(FOLDS, len(rows)), 0, -1):
        large = sum(one * FOLDS > sum(rows) for one in rows)
        for kept in range(folds == 1, min(large, len(rows) - folds) + 1):
            fold, filled = _balanced(rows[kept:], folds)
            chosen = min(max(1, round(sum(rows) * VALIDATION_SHARE * folds / sum(filled))), max(1, folds - 1))
            filled.sort()
            train = sum(rows[:kept]) + sum(filled[: folds - chosen])
            yield _Dealt([folds] * kept + fold, folds, chosen, train, sum(filled[:chosen]))


def _balanced(rows: list[int], folds: int) -> tuple[list[int], list[int]]:
    """Return the fold of each bundle and the rows of each fold: each goes where there are fewest yet."""
    heap = [(0, fold) for fold in range(folds)]
    heapify(heap)
    fold = []
    for count in rows:
        filled, least = heap[0]
        fold.append(least)
        heapreplace(heap, (filled + count, least))
    return fold, [filled for filled, _ in heap]


def _by_group(grouped: _Grouped, sizes: Sizes, seed: int) -> Parts:
    import numpy as np

    random = np.random.default_rng(seed)
    validates = np.zeros(grouped.folds + 2, dtype=bool)  # of folds; the last two never do
    validates[random.permutation(grouped.folds)[: grouped.chosen]] = True
    test = np.flatnonzero(grouped.fold < 0)
    validation = np.flatnonzero(validates[grouped.fold])
    train = np.flatnonzero((grouped.fold >= 0) & ~validates[grouped.fold])
    return (
        np.sort(random.permutation(train)[: sizes.train]),
        np.sort(random.permutation(validation)[: sizes.validation]),
        test,
    )
