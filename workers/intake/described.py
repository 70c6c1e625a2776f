"""What becomes of a column: the features of a model, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whichopt.service.uploads import CATEGORIES, Column, Kind, Role
from whichopt.workers.intake.columns import FIRST, Mask, Values
from whichopt.workers.intake.dates import written
from whichopt.workers.intake.raw import as_numpy
from whichopt.workers.intake.words import most_frequent

LONGEST_CATEGORY = 200
"""Characters of a category that has a feature of its own."""


@dataclass(frozen=True)
class Feature:
    """A column that becomes features, and what is kept of it."""

    column: Column
    numbers: npt.NDArray[np.float64] | None = None
    codes: npt.NDArray[np.int16] | None = None


def left_out(values: Values, why: str) -> Column:
    """Return a column that is not used."""
    return _column(values, Role.LEFT_OUT, 0, f"left out: {why}")


def used(values: Values, role: Role, becomes: str) -> Column:
    """Return a column that is predicted or divides the rows."""
    return _column(values, role, 0, becomes)


def why_left_out(values: Values, outside: Mask) -> str | None:
    """Return why a column says nothing about others in the rows outside the test part; None if it may."""
    distinct, missing = _few_distinct(values, outside)
    rows = "any row" if not values.distinct else "any row of training and validation"
    if not distinct:
        return f"it has no value in {rows}"
    if distinct == 1 and not missing:
        rows = "every row" if values.distinct == 1 else "every row of training and validation"
        return f"it has the same value in {rows}"
    if values.kind is Kind.ID:
        return "its values are distinct in (nearly) all rows, as ids are"
    return "text is not read" if values.kind is Kind.TEXT else None


def _few_distinct(values: Values, outside: Mask) -> tuple[int, bool]:
    """Return how many distinct values the rows have, 2 standing for several, and whether some have none."""
    if values.numbers is not None:
        absent = np.isnan(values.numbers) if values.missing else None
        missing = absent is not None and bool((absent & outside).any())
        for rows in (slice(FIRST), slice(None)):  # the first rows often tell already
            numbers = values.numbers[rows][outside[rows]]
            if values.missing:
                numbers = numbers[~np.isnan(numbers)]
            if len(numbers) and (numbers != numbers[0]).any():
                return 2, missing
        return min(1, len(numbers)), missing
    assert values.words is not None
    counts = values.words.counts_in(outside)
    return min(2, int((counts > 0).sum())), bool(counts.sum() < outside.sum())


def feature(values: Values, outside: Mask) -> Feature:
    """Return a column that becomes features, with what is kept of it.

    Which features it becomes is told by the rows outside the test part alone.
    """
    absent = _few_distinct(values, outside)[1]
    if values.numbers is not None:
        if values.kind is Kind.BOOL:
            becomes = f"0 for {values.labels[0]}, 1 for {values.labels[1]}"
            filled = "the more frequent one"
        else:
            what = "seconds since 1970, " if values.kind is Kind.DATE else ""
            becomes = f"{what}standardized: minus the mean, divided by the standard deviation, within ±10"
            filled = "the median"
        if absent:
            becomes += f"; {filled} where missing, and a feature that says so"
        column = _column(values, Role.FEATURE, 1 + absent, becomes)
        return Feature(column.model_copy(update={"indicator": absent}), numbers=values.numbers)
    assert values.words is not None
    kept = [
        word for word in most_frequent(values.words, CATEGORIES, outside) if len(word) <= LONGEST_CATEGORY
    ]
    place = pc.index_in(values.words.words, value_set=pa.array(kept, pa.string()))
    of_row = np.append(as_numpy(place, len(kept)), -1)[values.words.codes].astype(np.int16)
    other = int((of_row[outside] == len(kept)).sum())
    parts = [f"a feature for each of {len(kept)} categories"]
    parts += [f"one for other ({other:,} rows)"] if other else []
    parts += ["one for missing"] if absent else []
    column = _column(values, Role.FEATURE, len(kept) + bool(other) + absent, ", ".join(parts))
    facts = {"categories": tuple(kept), "other": other, "indicator": absent}
    return Feature(column.model_copy(update=facts), codes=of_row)


def _column(values: Values, role: Role, width: int, becomes: str) -> Column:
    low: float | str | None = None
    high: float | str | None = None
    if values.numbers is not None and values.distinct and np.isfinite([values.low, values.high]).all():
        low, high = values.low, values.high
        if values.kind is Kind.DATE:
            low, high = written(low), written(high)
    return Column(
        name=values.name,
        kind=values.kind,
        role=role,
        missing=values.missing,
        distinct=values.distinct,
        low=low,
        high=high,
        width=width,
        becomes=becomes if values.note is None else f"{becomes} ({values.note})",
    )
