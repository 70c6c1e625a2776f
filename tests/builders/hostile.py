"""Files that are broken, or made to harm their reader: small ones, or one piece again and again."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tests.builders.tables import COLUMNS, ROWS, as_npy, as_npz, as_parquet, written

TEXT = written(COLUMNS).encode()
"""Columns `size`, `color` and `y`; the last row is row 61."""
CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
NPZ, NPY = "application/x-npz", "application/x-npy"
PICKLE = np.array([{}, print], dtype=object)


@dataclass(frozen=True)
class Hostile:
    """A file, and what must be said of it: the row and the column are named if there is one to blame."""

    name: str
    kind: str
    said: str
    pieces: tuple[bytes, ...]
    times: int = 1
    query: str = ""

    def body(self) -> Iterator[bytes]:
        for _ in range(self.times):
            yield from self.pieces


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


def many_arrays() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(20_000):
            archive.writestr(f"x{i}.npy", b"")
    return file.getvalue()


def many_rows() -> bytes:
    """Return a Parquet file of 400 million rows in less than 2 MB."""
    many = pa.chunked_array([pa.nulls(4_000_000)] * 100)
    return as_parquet(pa.table({"x": many, "y": many}), row_group_size=100_000_000)


def one_long_value() -> bytes:
    """Return a Parquet file that as plain strings would have 20 GB."""
    long = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 10_000), pa.array(["u" * 1_000_000, "v" * 999]))
    return as_parquet(pa.table({"x": np.arange(20_000) % 7, "y": long}))


def corpus() -> Iterator[Hostile]:
    """Yield the files."""
    yield Hostile("ragged", CSV, "row 62 has 4 fields", (TEXT + b"1,red,a,b\n",))
    yield Hostile(
        "ragged-late", CSV, "row 900062 has 2 fields", (TEXT + b"1.5,red,a\n" * 900_000 + b"1,2\n",)
    )
    yield Hostile("same-name", CSV, "columns 1 and 3 have the same name, 'a'", (b"a,b,a\n1,2,3\n",))
    yield Hostile("nul", CSV, "row 62 has a NUL", (TEXT + b"1,re\0d,a\n",))
    yield Hostile("latin-1", CSV, "row 62 is no text", (TEXT + "1,grün,a\n".encode("latin-1"),))
    yield Hostile("utf-16", CSV, "UTF-16 without a mark", (TEXT.decode().encode("utf-16-le"),))
    yield Hostile("a-quote", CSV, "begins in row 62", (TEXT + b'1,"red,a\n2,red,a\n',))
    yield Hostile("quote-late", CSV, "row 900062", (TEXT + b"1.5,red,a\n" * 900_000 + b'1,"red,a\n',))
    yield Hostile("columns", CSV, "at most 2,000", (b"x," * 1_000_000 + b"y\n",))
    yield Hostile("empty", CSV, "empty", ())
    yield Hostile("header", CSV, "no row of values", (b"a,b,y\n",))
    yield Hostile(
        "one-class",
        CSV,
        "'y' has a single class, 'a'",
        (b"x,y\n" + b"1.5,a\n2.5,a\n" * 30,),
        query="&target=y",
    )
    yield Hostile(
        "no-target",
        CSV,
        "'y' is to be predicted, but has no value in 1 rows, the first of which is row 62",
        (TEXT + b"1,red,NaN\n",),
    )
    yield Hostile("infinite", CSV, "'size' is infinite in row 62", (TEXT + b"inf,red,a\n",))
    yield Hostile("rare", CSV, "'c'", (TEXT + b"1,red,c\n",))
    yield Hostile("long-line", CSV, "a single column", (b"x" * (1 << 20),), times=150)
    long = gzip.compress(b"x" * (1 << 26))
    yield Hostile("long-gzip", CSV, "a row has more than", (gzip.compress(b"a,b\n1,"), *[long] * 15))
    yield Hostile(
        "bomb",
        CSV,
        "inflates to more than",
        (gzip.compress(b"1,%s,a\n" % (b"r" * 900) * 60_000),),
        times=160,
        query="&header=false",
    )
    yield Hostile("half-gzip", CSV, "gzip", (gzip.compress(TEXT)[:-20],))
    yield Hostile("rows", PARQUET, "400,000,000 rows", (many_rows(),))
    yield Hostile(
        "long-value",
        PARQUET,
        "'y' has a class of 1,000,000 characters in row 1;",
        (one_long_value(),),
        query="&target=y",
    )
    yield Hostile(
        "bytes", PARQUET, "'b' holds bytes", (as_parquet({**COLUMNS, "b": pa.array([b"\xff"] * ROWS)}),)
    )
    yield Hostile("no-parquet", PARQUET, "cannot be read as Parquet", (b"PAR1" + b"\xff" * 50 + b"PAR1",))
    yield Hostile(
        "nul-parquet",
        PARQUET,
        f"'color' has a NUL character in row {ROWS}",
        (as_parquet({**COLUMNS, "color": ["red"] * (ROWS - 1) + ["a\0"]}),),
    )
    yield Hostile("pickle-npz", NPZ, "'y' holds Python objects", (as_npz(x=np.zeros((9, 2)), y=PICKLE),))
    yield Hostile("pickle-npy", NPY, "holds Python objects", (as_npy(PICKLE),))
    yield Hostile("claims-npz", NPZ, "'x.npy' claims 3,000,000,000 bytes", (lying_npz(3_000_000_000),))
    yield Hostile("claims-npy", NPY, "claims 8,000,000,000 bytes", (claiming_npy(10**9),))
    yield Hostile("arrays", NPZ, "at most 2,000", (many_arrays(),))
