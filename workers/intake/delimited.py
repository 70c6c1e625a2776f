"""Reads tables in text: fields between delimiters, in quotes or not."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv

from whichopt.workers.intake import blocks
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import TooLarge, Unreadable, shown
from whichopt.workers.intake.progress import Progress
from whichopt.workers.intake.raw import Raw, checked_names
from whichopt.workers.intake.sniffed import Sniffed, sniffed
from whichopt.workers.intake.text import Place, Readable, Text

BLOCK = 4 << 20
"""Bytes of text that are parsed at once; no row is longer."""


def read(
    path: Path,
    limits: Limits,
    progress: Progress,
    *,
    header: bool | None,
    tabs: bool,
    as_text: Collection[str] = (),
) -> Raw:
    """Return the table with fields as strings, or as numbers if some have a fraction.

    Args:
        path: the file, compressed by gzip or not.
        limits: the limits on it.
        progress: is told how far it is.
        header: whether the first row has the names of the columns; None: find out.
        tabs: whether its format says that tabs delimit the fields.
        as_text: columns of which all fields stay strings.

    Raises:
        Unreadable: it is no such table.
        TooLarge: it is larger than allowed.
    """
    text = Text(path, limits.table_bytes)
    start = b"".join(islice(text.chunks(), BLOCK >> 20))
    if not start.strip():
        raise Unreadable("the file is empty: it has no row")
    found = sniffed(start.decode("utf-8", "ignore"), header=header, tabs=tabs, most_columns=limits.columns)
    names = checked_names(found.names)
    limits.check(0, len(names))
    columns = blocks.read(text, found, names, limits, progress, as_text=as_text)
    if columns is None:
        table = _row_after_row(text, found, names, limits, progress)
        columns = {name: table[name] for name in names}
    notes = list(found.notes)
    if text.encoding != "utf-8":
        notes.append(f"the text is {text.encoding.upper()}, by the mark at its start")
    if text.gzipped:
        notes.append("the file is compressed by gzip")
    written = {"delimiter": found.delimiter, "header": found.header, "encoding": text.encoding}
    return Raw(columns, len(columns[names[0]]), 2 if found.header else 1, notes, written=written)


def _row_after_row(
    text: Text, found: Sniffed, names: list[str], limits: Limits, progress: Progress, *, threads: bool = True
) -> pa.Table:
    """Return the table with all fields as strings, or say what is wrong with it and where."""
    batches: list[pa.RecordBatch] = []
    rows = 0
    file, ragged = Readable(text), list[Unreadable]()

    def invalid(row: arrow_csv.InvalidRow) -> str:
        if not ragged:
            ragged.append(_ragged(row.number, row.actual_columns, row.expected_columns, row.text, found))
        return "error"

    try:
        reader = arrow_csv.open_csv(
            file,
            arrow_csv.ReadOptions(
                block_size=BLOCK,
                column_names=names,
                skip_rows_after_names=int(found.header),
                use_threads=threads,
            ),
            arrow_csv.ParseOptions(
                delimiter=found.delimiter, newlines_in_values=True, invalid_row_handler=invalid
            ),
            blocks.converting(dict.fromkeys(names, pa.string())),
        )
        for batch in reader:
            rows += batch.num_rows
            limits.check(rows, len(names))
            batches.append(batch)
            progress.at(rows, file.shares[min(len(batches), len(file.shares)) - 1])
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError):
            raise
        if ragged and threads:  # only one thread knows the row's number
            return _row_after_row(text, found, names, limits, progress, threads=False)
        raise (ragged[0] if ragged else file.problem or _broken(text, error)) from None
    if rows and "\n" in str(batches[-1].column(len(names) - 1)[-1]) and not _ends_in_quote(text):
        raise _unclosed(rows + int(found.header))
    if not rows:
        raise Unreadable("the file has names of columns, but no row of values")
    return pa.Table.from_batches(batches)


def _ragged(number: int | None, fields: int, expected: int, text: str, found: Sniffed) -> Unreadable:
    if "\n" in text:
        return _unclosed(number, f", so row {number} has {fields:,} fields, the first row {expected:,}")
    return Unreadable(
        f"row {number} has {fields:,} fields, the first row {expected:,} (delimiter {found.delimiter!r}): "
        f"{shown(text)}; mend the row, or put quotes around a field that has the delimiter in it",
        row=number,
    )


def _broken(text: Text, error: Exception) -> Unreadable | TooLarge:
    """Return why Arrow has given up: almost always a quote that does not end."""
    place = Place()
    for chunk in text.chunks():
        place.go(chunk)
    if place.quote is not None:
        return _unclosed(place.quote)
    if "straddl" in str(error):
        return TooLarge(f"a row has more than {BLOCK:,} bytes; is a quote missing somewhere?")
    return Unreadable(f"the text cannot be read as a table: {str(error)[:300]}")


def _ends_in_quote(text: Text) -> bool:
    end = b""
    for chunk in text.chunks():
        end = (end + chunk.rstrip())[-1:]
    return end == b'"'


def _unclosed(row: int | None, so: str = "") -> Unreadable:
    return Unreadable(
        f"a quote that begins in row {row} does not end where it should{so}; add its end, or remove it",
        row=row,
    )
