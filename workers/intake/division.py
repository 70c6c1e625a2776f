"""The rule by which a table's rows are divided, checked against the column that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import CannotSplit, outside_test, sizes_of
from whichopt.service.uploads import Kind, Split
from whichopt.workers.intake.columns import Mask, Values, as_words
from whichopt.workers.intake.problems import Unreadable, shown
from whichopt.workers.intake.target import Target
from whichopt.workers.intake.words import Coded, coded

PARTS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
"""Parts by the words for them, in small letters."""


@dataclass(frozen=True)
class Division:
    """The sizes of the parts, and the rows outside the test part, which is the same for every seed.

    `tensors` has what a rule needs to know of each row.
    """

    sizes: Sizes
    outside: Mask
    tensors: dict[str, npt.NDArray[Any]]
    note: str


def division(split: Split, values: Values | None, wanted: Target, rows: int, first_row: int) -> Division:
    """Return how the rows are divided.

    Args:
        split: the rule.
        values: the values of the column that it names.
        wanted: what is to be predicted.
        rows: the number of rows.
        first_row: the number of the first.

    Raises:
        Unreadable: the column lacks a value, or the rows cannot be divided by it.
    """
    if values is not None and values.missing:
        absent = np.isnan(values.numbers) if values.numbers is not None else _words(values).codes < 0
        row = int(np.argmax(absent)) + first_row
        raise Unreadable(
            f"column {shown(values.name)} divides the rows, but has no value in {values.missing:,} rows, the "
            f"first of which is row {row}; fill it in, or remove them",
            row=row,
            column=values.name,
        )
    tensors = dict[str, npt.NDArray[Any]]()
    note = "training, validation and test are drawn at random"
    if values is not None:
        if split.kind == "column":
            tensors["part"] = _parts(values, first_row)
            note = f"column {values.name} says which rows are training, validation and test"
            if set(np.unique(tensors["part"])) == {0, 1, 2}:
                note += "; as all three are given, seeds redraw none of them"
        elif split.kind == "group":
            tensors["group"] = _words(values).codes.astype(np.int32)
            note = f"no group of column {values.name} is in two of training, validation and test"
        else:
            tensors["time"] = _times(values, first_row)
            note = f"test has the latest rows by column {values.name}, validation the latest of the others"
    try:
        sizes = sizes_of(split, rows, given=tensors.get("part"), group=tensors.get("group"))
    except CannotSplit as error:
        raise Unreadable(str(error), column=split.column) from None
    if left_out := rows - sizes.train - sizes.validation - sizes.test:
        note += f"; each seed leaves out {left_out:,} other rows, so that all seeds have parts of these sizes"
    strata = None if wanted.classes is None else wanted.labels
    by = {"given": tensors.get("part"), "group": tensors.get("group"), "time": tensors.get("time")}
    return Division(sizes, outside_test(split, strata, rows, sizes, **by), tensors, note)


def _words(values: Values) -> Coded:
    return values.words or coded(pa.chunked_array([as_words(values)]))


def _parts(values: Values, first_row: int) -> npt.NDArray[np.int8]:
    words = _words(values)
    texts = words.words.to_pylist() if len(words.words) < 100 else [words.words[0].as_py()]
    parts = [PARTS.get(text.lower()) for text in texts]
    if None in parts:
        strange = parts.index(None)
        row = words.first_row(strange) + first_row
        raise Unreadable(
            f"column {shown(values.name)} divides the rows, but has {shown(texts[strange])} in row {row}; "
            "write train, validation or test",
            row=row,
            column=values.name,
        )
    return np.array(parts, dtype=np.int8)[words.codes]


def _times(values: Values, first_row: int) -> npt.NDArray[np.float64]:
    if values.numbers is None or values.kind not in (Kind.NUMERIC, Kind.DATE):
        raise Unreadable(
            f"column {shown(values.name)} is to be a time, but does not hold dates or numbers; write dates "
            "as 2024-12-31",
            row=first_row,
            column=values.name,
        )
    return values.numbers
