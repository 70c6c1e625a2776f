"""A table as its file has it: columns of Arrow, before anything is inferred."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whichopt.workers.intake.images import Pixels
from whichopt.workers.intake.problems import Unreadable, shown

if TYPE_CHECKING:
    from whichopt.service.uploads import Split

LONGEST_NAME = 200

MISSING = {"", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "?", "-"}
"""Fields that stand for a missing value, with or without blanks around them."""

AS_TEXT = ("category", "text", "id")
"""Kinds of columns whose fields are not read as numbers."""

Columns = dict[str, pa.ChunkedArray | npt.NDArray[np.float64]]
"""Columns by name. Numbers may stand in an array, with NaN for missing and no negative zero."""


@dataclass
class Images:
    """Images (N, channels, height, width), and the fields of `whichopt.service.uploads.ImageFacts`."""

    pixels: Pixels
    facts: dict[str, object]
    names: list[str] | None = None
    """The name of each one's file."""
    pinned: dict[str, npt.NDArray[Any]] | None = None
    """What is kept in place of pixels that stay where they lie: the paths and the hashes of their files."""


@dataclass
class Raw:
    """The columns by name, in the file's order. Text is a string or a dictionary of strings.

    `first_row` is the number of the first row of values: 2 if there is a header. `split` is the rule that the
    file itself gives, as arrays of several parts do.
    """

    columns: Columns
    rows: int
    first_row: int
    notes: list[str] = field(default_factory=list)
    split: Split | None = None
    doubts: dict[str, str] = field(default_factory=dict)
    """What looks wrong with a column, by its name."""
    written: dict[str, Any] = field(default_factory=dict)
    """How the file writes its table: fields of `whichopt.service.uploads.Written`."""
    ways: dict[str, str] = field(default_factory=dict)
    """How a column's values are written, by its name: the name of the field of `Written` that lists it."""
    images: Images | None = None
    """The images that the rows are of, if it is no table."""


def as_numpy(data: pa.Array | pa.ChunkedArray, absent: float = 0) -> npt.NDArray[Any]:
    """Return numbers or bools as an array, with `absent` for what is missing.

    Arrow's own way imports pandas if it is there, which takes longer than most files.
    """
    chunks = data.chunks if isinstance(data, pa.ChunkedArray) else [data]
    if not chunks:
        chunks = [pa.array([], data.type)]
    whole = np.concatenate([flat(chunk, absent) for chunk in chunks])
    return whole.astype(bool) if pa.types.is_boolean(data.type) else whole


def flat(data: pa.Array, absent: float = 0) -> npt.NDArray[Any]:
    """Return numbers, or bools as 0 and 1, with `absent` for what is missing; they may be Arrow's own."""
    numbers = data.cast(pa.uint8()) if pa.types.is_boolean(data.type) else data
    return np.from_dlpack(numbers.fill_null(absent) if numbers.null_count else numbers)


def checked_names(names: list[str]) -> list[str]:
    """Return the names with single blanks inside and none around; one that is empty becomes `column_N`.

    Raises:
        Unreadable: two columns have one name, or a name cannot be shown.
    """
    checked = [" ".join(name.split()) or f"column_{i}" for i, name in enumerate(names, 1)]
    seen = dict[str, int]()
    for i, name in enumerate(checked, 1):
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise Unreadable(
                f"the name of column {i} is {shown(name)}: a name has at most {LONGEST_NAME} characters, all "
                "of which can be printed; if the file has no header, say header=false",
                row=1,
            )
        if name in seen:
            raise Unreadable(
                f"columns {seen[name]} and {i} have the same name, {shown(name)}; rename one of them, or say "
                "header=false if the file has no header",
                row=1,
                column=name,
            )
        seen[name] = i
    return checked
