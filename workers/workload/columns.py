"""The columns of a table as features: what is learned of them on training rows, and applied to any rows.

Missing numbers become the median of training, with an indicator, and a number is standardized. A category
becomes one feature each for the categories that its column keeps, for all others, and for a missing one.
Which they are was fixed when the file was read, so the number of features is known without the data. The
reader counts them over the rows outside the test part, which is the same for every seed.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.uploads import Column, Kind

FARTHEST = 10.0
"""Bound on a standardized feature: a value that no training row comes near may lie hundreds of their standard
deviations away."""

LARGEST = 1e150
"""Bound on a number, beyond which its square may overflow."""

BLOCK_BYTES = 1 << 25
"""Bytes of values that are worked on at once, so that memory does not grow with the table."""

Floats = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """Rows of a table, column by column in the file's order.

    `numbers` (N, n) are its numbers, bools (0 or 1) and dates (seconds since 1970), NaN if missing. `codes`
    (N, c) are its categories: their places in the column's list, its length for any other, -1 if missing.
    """

    numbers: Floats
    codes: npt.NDArray[np.int16]


class Prepared(BaseModel):
    """What training rows tell of a table's columns, and thereby how any rows become features.

    Its JSON is complete: what is read from it gives the same features to the bit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...] = Field(description="Columns that become features, in their order.")
    fill: tuple[float, ...] = Field(description="What a missing number becomes, of each column of numbers.")
    mean: tuple[float, ...]
    deviation: tuple[float, ...] = Field(description="Standard deviation; 0 if training rows are all alike.")

    @property
    def features(self) -> int:
        """The number of features."""
        return sum(column.width for column in self.columns)

    @cached_property
    def _layout(self) -> _Layout:
        return _layout(self.columns)

    def transform(self, rows: Rows, chosen: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        """Return the features (N, features) of the rows, or of those that are `chosen`, in their order."""
        count = len(rows.numbers) if chosen is None else len(chosen)
        features = np.zeros((count, self.features), dtype=np.float32)
        step = max(1, BLOCK_BYTES // (8 * (1 + self.features)))
        for start in range(0, count, step):
            stop = min(start + step, count)
            part = slice(start, stop) if chosen is None else chosen[start:stop]
            self._numbers(rows.numbers[part], features[start:stop])
            self._categories(rows.codes[part], features[start:stop])
        return features

    def _numbers(self, numbers: Floats, features: npt.NDArray[np.float32]) -> None:
        at, indicators = self._layout.numbers, self._layout.indicators
        missing = np.isnan(numbers)
        deviation = np.array(self.deviation)
        values = np.clip(np.where(missing, np.array(self.fill), numbers), -LARGEST, LARGEST)
        values -= np.array(self.mean)
        values /= np.where(deviation == 0, np.inf, deviation)
        features[:, at] = np.clip(values, -FARTHEST, FARTHEST, out=values)
        known = indicators >= 0
        features[:, indicators[known]] = missing[:, known]

    def _categories(self, codes: npt.NDArray[np.int16], features: npt.NDArray[np.float32]) -> None:
        every = np.arange(len(codes))
        for column, places in enumerate(self._layout.categories):
            at = places[codes[:, column]]  # -1, a missing one, is the last
            known = at >= 0
            features[every[known], at[known]] = 1


class _Layout(NamedTuple):
    """The places of features: of each column of numbers, of its indicator, and of each code; -1 for none."""

    numbers: npt.NDArray[np.int64]
    indicators: npt.NDArray[np.int64]
    categories: list[npt.NDArray[np.int64]]


def _layout(columns: tuple[Column, ...]) -> _Layout:
    numbers, indicators, categories, start = list[int](), list[int](), list[npt.NDArray[np.int64]](), 0
    for column in columns:
        last = start + column.width - 1
        missing = last if column.indicator else -1
        if column.kind is Kind.CATEGORY:
            kept = len(column.categories)
            other = start + kept if column.other else -1
            categories.append(np.array([*range(start, start + kept), other, missing]))
        else:
            numbers.append(start)
            indicators.append(missing)
        start += column.width
    return _Layout(np.array(numbers, dtype=np.int64), np.array(indicators, dtype=np.int64), categories)


def learned(columns: tuple[Column, ...], rows: Rows, training: npt.NDArray[np.int64]) -> Prepared:
    """Return what the rows `training` tell of the columns; no other row is looked at."""
    kinds = [column.kind for column in columns if column.kind is not Kind.CATEGORY]
    fill, mean, deviation = np.zeros(len(kinds)), np.zeros(len(kinds)), np.ones(len(kinds))
    for strategy, bools in (("median", False), ("most_frequent", True)):
        places = np.array([at for at, kind in enumerate(kinds) if (kind is Kind.BOOL) == bools], dtype=int)
        width = max(1, BLOCK_BYTES // (8 * len(training)))
        for start in range(0, len(places), width):
            some = places[start : start + width]
            # Column by column in memory: a sum over one then has the same bits whatever stands beside it.
            values = np.asfortranarray(rows.numbers[np.ix_(training, some)])
            np.clip(values, -LARGEST, LARGEST, out=values)
            fill[some], filled = _filled(values, strategy)
            if not bools:
                mean[some], deviation[some] = _scale(filled)
    return Prepared(
        columns=columns,
        fill=tuple(fill.tolist()),
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
    )


def _filled(values: Floats, strategy: str) -> tuple[Floats, Floats]:
    """Return what a missing value becomes, of each column, and the values with that in their place."""
    from sklearn.impute import SimpleImputer

    imputer = SimpleImputer(strategy=strategy, keep_empty_features=True, copy=False)
    filled = imputer.fit_transform(values)
    return imputer.statistics_, filled


def _scale(values: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column; 0 of one that is constant up to rounding."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(copy=False).fit(values)
    deviation = np.sqrt(scaler.var_)
    return scaler.mean_, np.where(deviation == scaler.scale_, deviation, 0.0)
