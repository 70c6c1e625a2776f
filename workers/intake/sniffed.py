"""How a table in text is written: its delimiter, and whether its first row names the columns."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from whichopt.workers.intake.problems import TooLarge, Unreadable
from whichopt.workers.intake.raw import MISSING

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
ROWS = 50
"""Rows by which the delimiter is chosen."""


@dataclass(frozen=True)
class Sniffed:
    """How a table is written, and the names of its columns."""

    delimiter: str
    header: bool
    names: list[str]
    notes: tuple[str, ...]


def sniffed(start: str, *, header: bool | None, tabs: bool, most_columns: int) -> Sniffed:
    """Return how the table that starts so is written.

    Raises:
        Unreadable: it has a single column, whatever the delimiter is.
        TooLarge: its first row has more fields than allowed.
    """
    candidates = ["\t", *(one for one in DELIMITERS if one != "\t")] if tabs else list(DELIMITERS)
    tables = {delimiter: _rows(start, delimiter) for delimiter in candidates}
    scores = {delimiter: _score(rows) for delimiter, rows in tables.items()}
    delimiter = candidates[0] if tabs and scores["\t"][0] else max(candidates, key=scores.__getitem__)
    first = next(iter(tables[delimiter]), [])
    if len(first) > most_columns:
        raise TooLarge(
            f"the first row has {len(first):,} fields; at most {most_columns:,} are allowed "
            "(WHICHOPT_MAX_COLUMNS)"
        )
    if len(first) < 2:
        raise Unreadable(
            "the file has a single column, whether a comma, a semicolon, a tab or a bar delimits the fields; "
            "a table needs a column to predict and one to predict it from",
            row=1,
        )
    notes = [f"{DELIMITERS[delimiter]} delimits the fields, by the first rows"]
    decided = header
    if decided is None:
        decided, why = _has_header(first)
        notes.append(why)
    names = first if decided else [f"column_{i}" for i in range(1, len(first) + 1)]
    return Sniffed(delimiter, decided, names, tuple(notes))


def _rows(start: str, delimiter: str) -> list[list[str]]:
    lines = iter(start.splitlines(keepends=True))
    reader = csv.reader(lines, delimiter=delimiter)
    limit = csv.field_size_limit(len(start) + 1)
    try:
        rows = [row for row in islice(reader, ROWS + 1) if row]
    finally:
        csv.field_size_limit(limit)
    # The last row may be cut where the start of the file ends.
    return rows[:-1] if len(rows) > 2 and next(lines, None) is None else rows


def _score(rows: list[list[str]]) -> tuple[bool, float, int]:
    """Prefer rows of more than one field, then those that agree in their number, then more of them."""
    fields, agreeing = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    return fields > 1 or (bool(rows) and len(rows[0]) > 1), round(agreeing / max(1, len(rows)), 1), fields


def _has_header(first: list[str]) -> tuple[bool, str]:
    """Return whether the first row has names, and how that was decided."""
    numbers = [field for field in first if _number(field) is not None]
    values = [field for field in first if field.strip() not in MISSING]
    if numbers and len(numbers) == len(values):
        return False, "there is no header, as the first row has numbers only; header=true says otherwise"
    broken = next((field.strip() for field in numbers if _number(field) != int(_number(field) or 0)), None)
    if broken is not None:
        return (
            False,
            f"there is no header, as {broken} in the first row is no name; header=true says otherwise",
        )
    return True, "the first row has the names of the columns; header=false says otherwise"


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if value - value == 0 else None  # neither infinite nor NaN
