"""The shapes of a person's own data: a file that was sent, the table that it holds, and its columns.

The reader (`whichopt.workers.intake`) writes a Table, the database keeps it, and planning, evidence and the
doors read it. Nothing in it needs the data themselves.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from whichopt.service.catalog.shapes import Shape, Sizes
from whichopt.service.texts import Text

CATEGORIES = 32
"""Most categories of a column that become features of their own; the rest are `other`."""

MOST_TOLD = 200
"""Most columns of which a spec records what becomes of them: specs are read in every list of jobs."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(StrEnum):
    """The kind of values that a column holds."""

    NUMERIC = "numeric"
    CATEGORY = "category"
    BOOL = "bool"
    DATE = "date"
    TEXT = "text"
    ID = "id"


class Role(StrEnum):
    """The use that is made of a column."""

    FEATURE = "feature"
    TARGET = "target"
    SPLIT = "split"
    LEFT_OUT = "left_out"


class Split(_Frozen):
    """The rule by which rows become training, validation and test examples.

    `random` keeps the shares of the classes, `column` takes the parts that a column gives, `group` puts no
    group on both sides, and `time` tests on the latest rows. It is written `random`, `column:c`, `group:c`
    or `time:c`, with c the name of the column. `in_order` is that of texts: the end tests, and what validates
    is one stretch.
    """

    kind: Literal["random", "column", "group", "time", "in_order"] = "random"
    column: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        kind, colon, column = data.partition(":")
        if kind not in ("random", "column", "group", "time", "in_order"):
            raise ValueError(
                f"{data!r} is no rule; write 'random', 'column:NAME', 'group:NAME' or 'time:NAME'"
            )
        return {"kind": kind, "column": column if colon else None}

    @model_validator(mode="after")
    def _needs_a_column(self) -> Self:
        if (self.kind in ("random", "in_order")) != (self.column is None) or self.column == "":
            raise ValueError("write 'random', 'column:NAME', 'group:NAME' or 'time:NAME'")
        return self

    @model_serializer
    def _as_text(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return self.kind if self.column is None else f"{self.kind}:{self.column}"


class Column(_Frozen):
    """A column of a table, and the features that it becomes."""

    name: str
    kind: Kind
    role: Role
    missing: int = Field(ge=0, description="Number of rows without a value.")
    indicator: bool = Field(
        default=False,
        description="Whether a feature of it tells that the value is missing: it is, in rows outside test.",
    )
    distinct: int = Field(ge=0, description="Number of distinct values.")
    low: float | str | None = Field(description="Least value: a number, or a date as ISO 8601 writes it.")
    high: float | str | None = Field(description="Greatest value, likewise.")
    categories: tuple[str, ...] = Field(
        default=(),
        max_length=CATEGORIES,
        description="Categories with a feature of their own, the most frequent outside test first.",
    )
    other: int = Field(
        default=0, ge=0, description="Number of rows outside test whose category is none of them."
    )
    width: int = Field(ge=0, description="Number of features that it becomes.")
    becomes: str = Field(description="What becomes of the column, in words.")


class Remark(_Frozen):
    """A common mistake that the data show, with its reason and advice."""

    code: str
    column: str | None = None
    what: str
    why: str
    instead: str


class File(_Frozen):
    """A file as it was sent."""

    name: str | None = Field(default=None, description="Name of the file, if one was given.")
    bytes: int = Field(ge=0)
    sha256: str


DEEPEST = 8
"""Most folders of images within one another; images need three: all, a part and a class."""


class ImageFacts(_Frozen):
    """What the images of a dataset were before they were made alike; their shape stands in `shape.image`."""

    resized: int = Field(ge=0, description="Number of images that had another size.")
    smallest: tuple[int, int] = Field(description="Least width and least height, in pixels.")
    largest: tuple[int, int] = Field(description="Greatest width and greatest height, in pixels.")
    folder: str | None = Field(
        default=None,
        description="Folder under the service's WHICHOPT_DATA_ROOT in which they lie; null if sent.",
    )
    pixels: str | None = Field(
        default=None, description="SHA-256 of the decoded pixels of a folder, by which workers check theirs."
    )


SHOWN_CLASSES, SHOWN_IMAGES = 20, 8
"""Classes of which images are shown, the first of them, and images of each."""

LEAST_SIZE, LARGEST_SIZE = 8, 224
"""Bounds of the size, in pixels, to which images can be resized."""


class Choices(_Frozen):
    """What a person may say about a file; what is not said is inferred from it."""

    target: str | None = None
    task: Literal["classification", "regression", "language"] | None = None
    split: Split = Split()
    header: bool | None = Field(default=None, description="Whether the first row names the columns.")
    columns: dict[str, Kind | Literal["leave_out"]] = Field(
        default_factory=dict, description="Kinds of columns that are not to be inferred."
    )
    size: int | None = Field(
        default=None,
        ge=LEAST_SIZE,
        le=LARGEST_SIZE,
        exclude_if=lambda size: size is None,
        description="Width and height to which images are resized, in pixels; null: their own, if all have "
        "the same and it is at most 64, else 32.",
    )


class Written(_Frozen):
    """How a file writes its table, for who reads it without the reader.

    The parts about text are null or empty for a format that says what its values are.
    """

    format: Literal["text", "parquet", "numpy", "plain"] = "text"
    delimiter: str | None = Field(default=None, description="Delimiter of the fields.")
    header: bool = Field(default=True, description="Whether the first row names the columns.")
    encoding: str | None = Field(default=None, description="Encoding of the text.")
    decimal_commas: tuple[str, ...] = Field(
        default=(), description="Columns whose numbers have a comma as decimal point."
    )
    day_first: tuple[str, ...] = Field(default=(), description="Columns of dates such as 31/12/2024.")
    month_first: tuple[str, ...] = Field(default=(), description="Columns of dates such as 12/31/2024.")
    as_seconds: tuple[str, ...] = Field(
        default=(), description="Columns of numbers that were said to be dates: seconds since 1970."
    )


class NamedColumn(_Frozen):
    """A column that becomes features, and which."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = Field(default=(), description="Categories with a feature of their own.")
    other: bool = Field(default=False, description="Whether other categories have a feature, together.")
    indicator: bool = Field(default=False, description="Whether a feature tells that the value is missing.")


class ToldColumn(_Frozen):
    """A column of the file in short, for people who do not have the data."""

    name: str
    kind: Kind
    role: Role
    missing: int = Field(ge=0, description="Number of rows without a value.")
    becomes: str = Field(description="What becomes of the column, in words.")


class Upload(_Frozen):
    """A person's dataset as a resolved spec records it: what readers need to know without the data.

    The hash of the data stands beside it (`ResolvedWorkload.content`).
    """

    file: File
    rows: int = Field(ge=1)
    remarks: tuple[Remark, ...] = Field(default=(), description="Common mistakes that the data show.")
    told: tuple[ToldColumn, ...] = Field(
        default=(), description=f"The first {MOST_TOLD} columns of the file, used or not, in short."
    )
    target: str
    classes: tuple[str, ...] | None
    class_rows: tuple[int, ...] | None = Field(
        default=None, description="Number of rows of each class, in their order; null if it is not known."
    )
    split: Split
    target_kind: Kind | None = Field(default=None, description="Kind of the target's values.")
    split_kind: Kind | None = Field(
        default=None, description="Kind of the values of the column that divides the rows; null without one."
    )
    columns: tuple[NamedColumn, ...] = Field(description="Columns that become features, in their order.")
    choices: Choices = Field(
        default=Choices(), description="What was said about the file, with which it can be read again."
    )
    written: Written | None = Field(
        default=None,
        description="How the file writes its table. Null if it was not recorded, as what columns become.",
    )
    text: Text | None = Field(
        default=None,
        exclude_if=lambda text: text is None,
        description="What was found in a text, which has no columns; absent for a table.",
    )
    images: ImageFacts | None = Field(
        default=None,
        exclude_if=lambda images: images is None,
        description="What its images were before they were made alike; absent for a table.",
    )


class Table(_Frozen):
    """What the reader found in a file; it also stands in the metadata of the kept columns."""

    rows: int = Field(ge=1)
    columns: tuple[Column, ...]
    target: str
    task: Literal["classification", "regression", "language"]
    classes: tuple[str, ...] | None = Field(
        default=None, description="Classes in the order of their codes; null for regression."
    )
    class_rows: tuple[int, ...] | None = Field(
        default=None, description="Number of rows of each class, in their order; null for regression."
    )
    split: Split
    shape: Shape
    sizes: Sizes
    notes: tuple[str, ...] = Field(
        default=(), description="How target, task, split, header and encoding were decided."
    )
    remarks: tuple[Remark, ...] = ()
    written: Written | None = Field(
        default=None, description="How the file writes it; null if it was not recorded."
    )
    text: Text | None = Field(
        default=None,
        exclude_if=lambda text: text is None,
        description="What was found in a text, which has no columns; absent for a table.",
    )
    images: ImageFacts | None = Field(
        default=None,
        exclude_if=lambda images: images is None,
        description="What its images were before they were made alike; absent for a table.",
    )

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that become features, in the order of the file."""
        return tuple(column for column in self.columns if column.role is Role.FEATURE)

    def canonical(self) -> str:
        """Return the table as JSON: the same text for the same table, however its file wrote it."""
        told = self.model_dump(mode="json", exclude={"written"})
        return json.dumps(told, sort_keys=True, separators=(",", ":"))

    def upload(self, file: File, choices: Choices | None = None) -> Upload:
        """Return what a resolved spec records of the table, which came in that file with those choices."""
        kinds = {column.name: column.kind for column in self.columns}
        return Upload(
            file=file,
            rows=self.rows,
            remarks=self.remarks,
            told=tuple(
                ToldColumn(**{name: getattr(column, name) for name in ToldColumn.model_fields})
                for column in self.columns[:MOST_TOLD]
            ),
            target=self.target,
            classes=self.classes,
            class_rows=self.class_rows,
            split=self.split,
            target_kind=kinds.get(self.target),
            split_kind=kinds.get(self.split.column or ""),
            columns=tuple(
                NamedColumn(
                    name=column.name,
                    kind=column.kind,
                    categories=column.categories,
                    other=column.other > 0,
                    indicator=column.indicator,
                )
                for column in self.features
            ),
            choices=choices or Choices(),
            written=self.written,
            text=None if self.text is None else self.text.without_beginning(),
            images=self.images,
        )


NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
"""Names of uploaded datasets: they go into paths of the API."""

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".txt": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".tab": "text/tab-separated-values",
    ".parquet": "application/vnd.apache.parquet",
    ".pq": "application/vnd.apache.parquet",
    ".npz": "application/x-npz",
    ".npy": "application/x-npy",
    ".zip": "application/zip",
}
"""The media types of files that can be sent, by the ends of their names."""
