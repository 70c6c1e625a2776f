"""Broken and hostile files end in a problem that names row or column; none of them costs much."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.builders.tables import COLUMNS, ROWS, as_npy, as_npz, as_parquet, read_by_process, taken, written
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import Problem, TooLarge, Unreadable

TEXT = written(COLUMNS)
LAST = ROWS + 1
"""Number of the last row of TEXT."""
OBJECTS = np.array([{}, print], dtype=object)


def lying_npz(claim: int) -> bytes:
    """Return an NPZ file of which the directory claims that many bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", as_npy(np.zeros(10)))
    data = bytearray(file.getvalue())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", claim)
    return bytes(data)


def claiming_npy(rows: int) -> bytes:
    """Return an NPY file of which the header claims that many rows."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (rows,)})
    return file.getvalue() + bytes(1000)


@pytest.mark.parametrize(
    ("data", "form", "row", "column", "match"),
    [
        (TEXT + "1,red,a,b\n", "csv", LAST + 1, None, "has 4 fields, the first row 3"),
        (TEXT + "1\n" + TEXT, "csv", LAST + 1, None, "has 1 fields"),
        ('size,"two\nlines",y\n1,"a\nb",c\n\n2,3\n', "csv", 3, None, "row 3 has 2 fields"),
        (TEXT + '1,"red,a\n2,red,a\n', "csv", LAST + 1, None, "a quote that begins in row 62"),
        (TEXT + '1,red,"a\n2,red,a\n', "csv", LAST + 1, None, "a quote that begins in row 62"),
        ("a,b,a\n1,2,3\n", "csv", 1, "a", "columns 1 and 3 have the same name"),
        (TEXT + "1,re\0d,a\n", "csv", LAST + 1, None, "NUL character"),
        (TEXT.encode("utf-16-le"), "csv", 1, None, "UTF-16 without a mark"),
        (TEXT.encode() + "1,grün,a\n".encode("latin-1"), "csv", LAST + 1, None, "bytes fc 6e 2c 61"),
        (TEXT.encode() + "1,ü".encode()[:-1], "csv", None, None, "in the middle of a character"),
        (",".join(map(str, range(1_000_000))), "csv", None, None, "at most 2,000 are allowed"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-20], "csv", None, None, "gzip"),
        (gzip.compress(TEXT.encode(), mtime=0)[:50] + b"x" * 50, "csv", None, None, "cannot be inflated"),
        ("", "csv", None, None, "is empty"),
        (" \n\n", "csv", None, None, "is empty"),
        ("a,b\n", "csv", None, None, "no row of values"),
        ("a\n1\n2\n", "csv", 1, None, "a single column"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "csv", 1, None, "no text in UTF-8"),
        (TEXT, "parquet", None, None, "cannot be read as Parquet"),
        (b"PAR1" + b"\xff" * 50 + b"PAR1", "parquet", None, None, "cannot be read as Parquet"),
        (as_parquet(COLUMNS)[:-9] + b"x" * 9, "parquet", None, None, "cannot be read as Parquet"),
        (as_parquet({**COLUMNS, "b": pa.array([b"\xff"] * ROWS)}), "parquet", None, "b", "bytes"),
        (as_parquet({**COLUMNS, "color": ["red"] * (ROWS - 1) + ["a\0"]}), "parquet", ROWS, "color", "NUL"),
        (as_parquet(pa.table([pa.array([1]), pa.array([2])], ["a", "a"])), "parquet", 1, "a", "same name"),
        (as_npz(x=np.zeros((9, 2)), y=OBJECTS), "npz", None, "y", "unpickled"),
        (as_npy(OBJECTS), "npy", None, "sent", "unpickled"),
        (lying_npz(1 << 31), "npz", None, "x", "no compression of NPZ files reaches"),
        (lying_npz(10_000), "npz", None, "x", "is the file whole"),
        (claiming_npy(10**9), "npy", None, "sent", "claims 8,000,000,000 bytes"),
        (as_npz(x=np.zeros((9, 2, 2)), y=np.zeros(9)), "npz", 1, "y", "single class"),
        (as_npz(x=np.zeros((9, 2, 2, 2, 2)), y=np.zeros(9)), "npz", None, "x", "reshape"),
        (as_npz(x=np.zeros((9, 2)), y=np.zeros(8)), "npz", None, None, "are no table"),
        (as_npz(a=np.zeros(9, complex), y=np.zeros(9)), "npz", None, "a", "complex128"),
        (b"PK\x03\x04" + b"x" * 100, "npz", None, None, "no NumPy file"),
        (b"x" * 100, "npy", None, None, "no NumPy file"),
        (b"", "npy", None, None, "no NumPy file"),
    ],
)
def test_a_broken_file_is_told_apart(
    data: Any, form: str, row: int | None, column: str | None, match: str, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match=match) as caught:
        taken(tmp_path, data, form)
    assert (caught.value.row, caught.value.column) == (row, column)


def test_text_of_other_encodings_names_the_row_far_into_a_file(tmp_path: Path) -> None:
    lines = [f'{i},"a\n{"é" if i % 2 else "e"}",{i % 2}\n' for i in range(200_000)]
    bad = "size,color,y\n" + "".join(lines)
    data = bad.encode() + b"1,\xe9,a\n"
    with pytest.raises(Unreadable, match=r"row 200002 \(line 400002\)"):
        taken(tmp_path, data)


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        (Limits(rows=20), "at most 20 are allowed"),
        (Limits(columns=2), "at most 2 are allowed"),
        (Limits(features=3), "'color' alone becomes 3"),
        (Limits(table_bytes=1000), "1,000"),
    ],
)
@pytest.mark.parametrize(("data", "form"), [(TEXT, "csv"), (as_parquet(COLUMNS), "parquet")])
def test_limits_are_held(data: Any, form: str, limits: Limits, match: str, tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=match):
        taken(tmp_path, data, form, limits)


def test_an_inflated_file_is_bounded(tmp_path: Path) -> None:
    bomb = gzip.compress(TEXT.encode() + b"1,%s,a\n" % (b"red" * 20) * 1_000_000)
    assert len(bomb) < 300_000
    with pytest.raises(TooLarge, match="inflates to more than"):
        taken(tmp_path, bomb, limits=Limits(table_bytes=1 << 22))


def test_a_small_parquet_file_of_many_rows_is_refused_by_its_metadata(tmp_path: Path) -> None:
    many = pa.chunked_array([pa.nulls(4_000_000)] * 100)
    data = as_parquet(pa.table({"x": many, "y": many}), row_group_size=100_000_000)
    assert len(data) < 2_000_000
    with pytest.raises(TooLarge, match="400,000,000 rows"):
        taken(tmp_path, data, "parquet")


def test_a_value_that_many_rows_share_is_one_value(tmp_path: Path) -> None:
    """As plain strings it would be 20 GB; as a dictionary it is text like any other."""
    long = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 10_000), pa.array(["u" * 1_000_000, "v" * 999]))
    data = as_parquet(pa.table({"long": long, "x": np.arange(20_000) % 7, "y": ["a", "b"] * 10_000}))
    said, result = read_by_process(tmp_path, data, "parquet", Limits(memory_bytes=3 << 30))
    assert said[-1]["table"]["columns"][0]["role"] == "left_out"
    assert len(list(result.iterdir())) == 1


def test_what_needs_more_memory_than_allowed_is_too_large(tmp_path: Path) -> None:
    text = "a,b,y\n" + "".join(f"{i * 7919 % 104729},{i}.5,{i % 2}\n" for i in range(1_500_000))
    said, result = read_by_process(tmp_path, text, limits=Limits(memory_bytes=480 << 20))
    assert said[-1]["problem"]["code"] == "dataset_too_large"
    assert list(result.iterdir()) == []
