"""Reads tables in Parquet."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet as arrow_parquet

from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import Unreadable, shown
from whichopt.workers.intake.progress import Progress
from whichopt.workers.intake.raw import Raw, as_numpy, checked_names

BATCH = 1 << 16
"""Rows that are read at once."""


def read(path: Path, limits: Limits, progress: Progress, *, dropped: Collection[str]) -> Raw:
    """Return the table; text comes as dictionaries of strings, so that a value that fills a file is one.

    Args:
        path: the file.
        limits: the limits on it; rows and columns are checked before any of them is read.
        progress: is told how far it is.
        dropped: columns that are not to be used: they may hold anything.

    Raises:
        Unreadable: it is no such table.
        TooLarge: it is larger than allowed.
    """
    try:
        with arrow_parquet.ParquetFile(path) as file:
            rows = file.metadata.num_rows
            schema = file.schema_arrow
            limits.check(rows, len(schema))
            names = checked_names(schema.names)
            if not rows:
                raise Unreadable("the file has no row of values")
            kept = [
                i for i, name in enumerate(schema.names) if name not in dropped or _simple(schema.types[i])
            ]
            for i in kept:
                _check_type(names[i], schema.types[i])
        texts = [schema.names[i] for i in kept if _is_text(schema.types[i])]
        with arrow_parquet.ParquetFile(path, read_dictionary=texts) as file:
            batches, done = [], 0
            for batch in file.iter_batches(BATCH, columns=[schema.names[i] for i in kept], use_threads=False):
                done += batch.num_rows
                limits.check(done, len(schema))  # whatever the metadata claim
                batches.append(batch)
                progress.at(done, done / rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError):
            raise
        raise Unreadable(f"the file cannot be read as Parquet: {str(error)[:300]}") from None
    table = pa.Table.from_batches(batches)
    if table.num_columns != len(kept):
        raise Unreadable(
            "a name of a column has a dot in it, so its column cannot be told from another's part"
        )
    columns = {name: pa.chunked_array([pa.nulls(done, pa.float64())]) for name in names}
    for at, i in enumerate(kept):
        columns[names[i]] = _plain(names[i], table.column(at))
    return Raw(columns, done, 1, written={"format": "parquet"})


def _simple(kind: pa.DataType) -> bool:
    moment = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    return _is_text(kind) or _is_number(kind) or bool(moment)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in kinds)


def _is_number(kind: pa.DataType) -> bool:
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    return any(is_kind(kind) for is_kind in kinds)


def _check_type(name: str, kind: pa.DataType) -> None:
    if _simple(kind):
        return
    what = (
        "bytes without an encoding"
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        else str(kind)
    )
    raise Unreadable(
        f"column {shown(name)} holds {what[:100]}; a column holds numbers, text, dates or yes and no: "
        f'convert it, or leave it out: columns={{"{name}": "leave_out"}}',
        column=name,
    )


def _plain(name: str, data: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as others expect it: numbers, bools, moments, or dictionaries of sound strings."""
    if pa.types.is_dictionary(data.type) and not _is_text(data.type):
        data = data.cast(data.type.value_type)
    if pa.types.is_null(data.type):
        return pa.chunked_array([pa.nulls(len(data), pa.float64())])
    if not _is_text(data.type):
        return data
    if not pa.types.is_dictionary(data.type):
        data = data.dictionary_encode()
    chunks = []
    for at, chunk in enumerate(data.chunks):
        words = chunk.dictionary.cast(pa.large_binary()).cast(pa.binary())
        try:
            text = words.cast(pa.string())  # which checks the encoding
        except pa.ArrowInvalid:
            raise _undecodable(name, words, chunk, at * BATCH) from None
        nul = pc.match_substring(text, "\0")
        if pc.any(nul).as_py():
            word = int(np.argmax(as_numpy(nul)))
            row = _row(chunk, word, at * BATCH)
            raise Unreadable(
                f"column {shown(name)} has a NUL character in row {row}; remove it", row=row, column=name
            )
        chunks.append(pa.DictionaryArray.from_arrays(chunk.indices, text))
    return pa.chunked_array(chunks)


def _undecodable(name: str, words: pa.Array, chunk: pa.DictionaryArray, before: int) -> Unreadable:
    for i, word in enumerate(words):
        try:
            (word.as_py() or b"").decode()
        except UnicodeDecodeError:
            row = _row(chunk, i, before)
            return Unreadable(
                f"column {shown(name)} is no text in UTF-8 in row {row}; write it again from text",
                row=row,
                column=name,
            )
    return Unreadable(f"column {shown(name)} is no text in UTF-8; write it again from text", column=name)


def _row(chunk: pa.DictionaryArray, word: int, before: int) -> int:
    return before + int(np.argmax(as_numpy(chunk.indices, -1) == word)) + 1
