"""The problems of a file, in words for the person who sent it."""

from __future__ import annotations

from typing import Any, ClassVar


class Problem(Exception):
    """A file, or what was asked of it, is not as it must be.

    `row` counts from 1, with a header as row 1; `column` is a column's name. `code` is that of an error of
    the API.
    """

    code: ClassVar[str]

    def __init__(self, detail: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.row = row
        self.column = column

    def as_json(self) -> dict[str, Any]:
        """Return what the service is told."""
        return {"code": self.code, "detail": self.detail, "row": self.row, "column": self.column}


class Unreadable(Problem):
    code = "unreadable_dataset"


class AmbiguousTarget(Problem):
    code = "ambiguous_target"


class AmbiguousTask(Problem):
    code = "ambiguous_task"


class TooLarge(Problem):
    code = "dataset_too_large"


class Full(Problem):
    code = "storage_full"


NO_MEMORY = "the table does not fit into the memory that its reader may use; send fewer rows or columns"


def shown(value: object, longest: int = 40) -> str:
    """Return a value of the file as a message quotes it: short, on one line.

    >>> shown("a" * 50)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'"
    """
    text = str(value)
    return repr(text if len(text) <= longest else f"{text[: longest - 3]}...")
