"""Reads a table in text by blocks of whole rows, on all cores at once.

It only reads tables that are as they should be. Of any other it returns None, and `delimited`, which reads
one row after the other, tells what is wrong with it and where.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.progress import Progress
from whichopt.workers.intake.raw import MISSING, Columns, flat
from whichopt.workers.intake.sniffed import Sniffed
from whichopt.workers.intake.text import Text
from whichopt.workers.intake.together import CORES

BLOCK = 3 << 20
"""Bytes of text that are parsed at once, and of the longest row."""

QUOTE, NEWLINE = b'"', b"\n"
LINE_END = re.compile(r"\r\n|\r|\n")


class _NotPlain(Exception):
    """The text is no plain table, or it cannot be told where its rows end."""


@dataclass(frozen=True)
class _Form:
    """How blocks are to be parsed; the kinds of columns that are not given are inferred from each block."""

    found: Sniffed
    names: Sequence[str]
    kinds: Mapping[str, pa.DataType]

    @property
    def numbers(self) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind == pa.float64()]

    def parsed(self, block: bytes | memoryview, skipped: int = 0) -> pa.Table:
        """Return the rows of a block but for the first so many lines.

        Raises:
            _NotPlain: it seems to end within quotes, so its last row may go on in the next block.
        """
        table = arrow_csv.read_csv(
            pa.py_buffer(block),
            arrow_csv.ReadOptions(
                block_size=len(block) + 1,
                column_names=list(self.names),
                skip_rows_after_names=skipped,
                use_threads=False,
            ),
            arrow_csv.ParseOptions(delimiter=self.found.delimiter),
            converting(self.kinds),
        )
        last = str(table.column(-1)[-1]) if table.num_rows else ""
        if last.endswith("\n") or ("\n" in last and block[-1:] != NEWLINE):
            raise _NotPlain
        return table


def converting(kinds: Mapping[str, pa.DataType]) -> arrow_csv.ConvertOptions:
    """Return how fields become the values of columns of these kinds."""
    return arrow_csv.ConvertOptions(
        check_utf8=False,  # that is done already
        column_types=dict(kinds),
        null_values=sorted(MISSING),
        strings_can_be_null=True,
    )


def read(
    text: Text,
    found: Sniffed,
    names: Sequence[str],
    limits: Limits,
    progress: Progress,
    *,
    as_text: Collection[str] = (),
) -> Columns | None:
    """Return the columns, or None if the text cannot be read by blocks.

    Columns of numbers of which the first block has some with a fraction are numbers, as no such column holds
    codes, like postal codes with a zero ahead; all others are strings. A missing value is null.

    Args:
        text: the text of the file.
        found: how it is written.
        names: the names of its columns.
        limits: the limits on it.
        progress: is told how far it is.
        as_text: columns that stay strings.

    Raises:
        Unreadable: it is no text.
        TooLarge: it is larger than allowed.
    """
    try:
        try:
            return _read(text, found, names, limits, progress, as_text)
        except pa.ArrowInvalid as error:
            if "conversion error" not in str(error):
                raise
        # A column that began with numbers has a word further on.
        return _read(text, found, names, limits, progress, names)
    except (pa.ArrowInvalid, _NotPlain):
        return None


def _read(
    text: Text,
    found: Sniffed,
    names: Sequence[str],
    limits: Limits,
    progress: Progress,
    as_text: Collection[str],
) -> Columns:
    blocks = _blocks(text)
    first = bytes(next(blocks)).lstrip(b"\r\n")
    inferring = _Form(found, names, dict.fromkeys(as_text, pa.string()))
    skipped = _lines_of_header(found)
    numbers = _fractions(inferring.parsed(first, skipped))
    form = _Form(found, names, {name: pa.float64() if name in numbers else pa.string() for name in names})
    whole = _Whole(form, limits)
    whole.add(form.parsed(first, skipped), text.share)
    waiting = deque[Future[pa.Table]]()
    with ThreadPoolExecutor(CORES) as pool:
        for block in blocks:
            waiting.append(pool.submit(form.parsed, block))
            if len(waiting) > CORES:
                whole.add(waiting.popleft().result(), text.share)
                progress.at(whole.rows, text.share)
        while waiting:
            whole.add(waiting.popleft().result(), text.share)
    if not whole.rows:
        raise _NotPlain
    progress.at(whole.rows, text.share)
    return whole.columns()


def _lines_of_header(found: Sniffed) -> int:
    """Return the lines that the names of the columns take: spreadsheets put newlines into them."""
    return found.header + sum(len(LINE_END.findall(name)) for name in found.names)


class _Whole:
    """The table so far. Numbers are put where they stay, so that their memory is not needed twice."""

    def __init__(self, form: _Form, limits: Limits) -> None:
        self.rows = 0
        self._form = form
        self._limits = limits
        self._numbers = {name: np.empty(0) for name in form.numbers}
        self._strings: dict[str, list[pa.Array]] = {
            name: [] for name in form.names if name not in form.numbers
        }

    def add(self, table: pa.Table, share: float) -> None:
        """Add rows; `share` of the file has been read."""
        start, self.rows = self.rows, self.rows + table.num_rows
        self._limits.check(self.rows, len(self._form.names))
        for name, numbers in self._numbers.items():
            if self.rows > len(numbers):
                room = np.empty(round(1.1 * self.rows / share))
                room[:start] = numbers[:start]
                self._numbers[name] = numbers = room
            # Without a negative zero.
            at = start
            for chunk in table[name].chunks:
                np.add(flat(chunk, np.nan), 0.0, out=numbers[at : at + len(chunk)])
                at += len(chunk)
        for name, chunks in self._strings.items():
            chunks += table[name].chunks

    def columns(self) -> Columns:
        return {
            name: self._numbers[name][: self.rows]
            if name in self._numbers
            else pa.chunked_array(self._strings[name], pa.string())
            for name in self._form.names
        }


def _fractions(table: pa.Table) -> set[str]:
    """Return the names of columns of numbers, some of them with a fraction."""
    doubles = [field.name for field in table.schema if field.type == pa.float64()]
    return {name for name in doubles if any(map(_has_fraction, table[name].chunks))}


def _has_fraction(data: pa.Array) -> bool:
    numbers = flat(data, 0.0)
    return bool((numbers != np.rint(numbers)).any())


def _blocks(text: Text) -> Iterator[bytes | memoryview]:
    """Yield the text in pieces that end with a row, if quotes stand around whole fields."""
    parts, size = list[bytes](), 0
    for chunk in text.chunks():
        parts.append(chunk)
        size += len(chunk)
        if size >= BLOCK:
            whole = b"".join(parts)
            end = _end(whole)
            yield memoryview(whole)[:end]
            parts, size = [whole[end:]], len(whole) - end
    if size:
        yield b"".join(parts)


def _end(text: bytes) -> int:
    """Return where the last whole row ends: at a newline that has an even number of quotes before it."""
    end = text.rfind(NEWLINE) + 1
    quotes = int(np.count_nonzero(np.frombuffer(text, np.uint8, end) == QUOTE[0])) if end else 0
    while end and quotes % 2:
        before = text.rfind(NEWLINE, 0, end - 1) + 1
        quotes -= text.count(QUOTE, before, end)
        end = before
    if not end:
        raise _NotPlain
    return end
