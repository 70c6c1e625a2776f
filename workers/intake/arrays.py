"""Reads tables in NumPy's formats. Sizes are checked before data are read, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whichopt.service.uploads import Split
from whichopt.workers.intake.archives import BROKEN, HIGHEST_RATIO
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import TooLarge, Unreadable, shown
from whichopt.workers.intake.raw import Raw, checked_names

Array = npt.NDArray[Any]

PART = "part"
PARTS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


def read(path: Path, limits: Limits, *, zipped: bool, size: int | None = None) -> Raw:
    """Return the table.

    An NPZ file has `x` (rows, features) and `y` (rows,), or these with `_train`, `_validation` and `_test`
    after them, or an array of one dimension for each column; an NPY file has rows and columns, or rows of
    named fields. `x` may also be images (N, H, W), (N, C, H, W) or (N, H, W, C), which are resized to `size`.

    Raises:
        Unreadable: it is no such table.
        TooLarge: it is larger than allowed.
    """
    try:
        if not zipped:
            with path.open("rb") as file:
                array = _array(file, path.stem, path.stat().st_size, limits)
            return _table(
                _named(array),
                limits,
                ["the file has no names of columns"] if array.dtype.names is None else [],
            )
        return _of_arrays(_zipped(path, limits), limits, size)
    except BROKEN as error:
        raise Unreadable(f"the file is no NumPy file that can be read: {str(error)[:300]}") from None


def _zipped(path: Path, limits: Limits) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        limits.check(0, len(entries))
        total = sum(entry.file_size for entry in entries)
        for entry in entries:
            if entry.file_size > HIGHEST_RATIO * max(1, entry.compress_size) + 1000:
                raise Unreadable(
                    f"array {shown(entry.filename)} claims {entry.file_size:,} bytes in "
                    f"{entry.compress_size:,}, which no compression of NPZ files reaches; the file is "
                    "damaged, or made to harm",
                    column=entry.filename.removesuffix(".npy")[:200],
                )
        if total > limits.table_bytes:
            raise TooLarge(
                f"the arrays have {total:,} bytes; at most {limits.table_bytes:,} are allowed "
                "(WHICHOPT_MAX_TABLE_BYTES)"
            )
        arrays = dict[str, Array]()
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            if name in arrays:
                raise Unreadable(
                    f"two arrays have the name {shown(name)}; rename one of them", column=name[:200]
                )
            with archive.open(entry) as file:
                arrays[name] = _array(file, name, entry.file_size, limits)
        return arrays


def _array(file: IO[bytes], name: str, size: int, limits: Limits) -> Array:
    """Read an array of which the header agrees with the size."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise Unreadable(f"array {shown(name)} is in version {version} of the format; save it by np.savez")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = header(file)
    if dtype.hasobject:
        raise Unreadable(
            f"array {shown(name)} holds Python objects, which would have to be unpickled, and that may run "
            "code; save numbers or text: array.astype(float) or astype(str)",
            column=name[:200],
        )
    bytes_of_values, rest = math.prod(shape) * dtype.itemsize, size - file.tell()
    if bytes_of_values != rest:
        raise Unreadable(
            f"array {shown(name)} claims {bytes_of_values:,} bytes of values, but has {rest:,}; is the file "
            "whole?",
            column=name[:200],
        )
    if bytes_of_values > limits.table_bytes:
        raise TooLarge(
            f"array {shown(name)} has {bytes_of_values:,} bytes; at most {limits.table_bytes:,} are allowed "
            "(WHICHOPT_MAX_TABLE_BYTES)"
        )
    data = file.read(bytes_of_values)
    if len(data) != bytes_of_values:
        raise Unreadable(f"array {shown(name)} ends too early; is the file whole?", column=name[:200])
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")


def _of_arrays(arrays: dict[str, Array], limits: Limits, size: int | None) -> Raw:
    if not arrays:
        raise Unreadable("the file has no array")
    small = {name.lower(): array for name, array in arrays.items()}
    notes = [f"the arrays are {', '.join(list(arrays)[:20])}"]
    images = any(name.split("_")[0] == "x" and array.ndim in (3, 4) for name, array in small.items())
    if "x" in small and "y" in small and len(small) == len(arrays) == 2:
        if images:
            return _images(small["x"], {"y": small["y"]}, limits, notes, size)
        return _table(_examples(small["x"], small["y"], "x", "y"), limits, notes)
    split = [name.split("_", 1) for name in small]
    if all(len(one) == 2 and one[0] in "xy" and one[1] in PARTS for one in split):
        if images:
            return _parts_of_images(small, limits, notes, size)
        return _parts(small, limits, notes)
    return _table(arrays, limits, notes)


def _images(x: Array, columns: dict[str, Array], limits: Limits, notes: list[str], size: int | None) -> Raw:
    """Return images, with the columns that they have beside them."""
    from whichopt.workers.intake.images.read import of_array

    for name, column in columns.items():
        if column.ndim != 1 or len(column) != len(x):
            raise Unreadable(
                f"x has the shape {x.shape} and {name} {column.shape}; each image has one label: reshape it",
                column=name,
            )
    raw = _table(columns, limits, notes)
    raw.images, more = of_array(x, "x", limits, size)
    raw.notes += more
    return raw


def _parts_of_images(arrays: dict[str, Array], limits: Limits, notes: list[str], size: int | None) -> Raw:
    """Return the images of several parts, with a column that says which are which."""
    pairs = _pairs(arrays)
    shapes = {arrays[f"x_{word}"].shape[1:] for word, _ in pairs}
    if len(shapes) > 1:
        raise Unreadable("the arrays x_train, x_test and so on have images of different shapes")
    for word, _ in pairs:
        if len(arrays[f"x_{word}"]) != len(arrays[f"y_{word}"]):
            raise Unreadable(f"x_{word} and y_{word} have different lengths; each image has one label")
    x = np.concatenate([arrays[f"x_{word}"] for word, _ in pairs])
    y = np.concatenate([arrays[f"y_{word}"].reshape(-1) for word, _ in pairs])
    parts = np.concatenate([np.full(len(arrays[f"y_{word}"]), part) for word, part in pairs])
    raw = _images(x, {PART: parts, "y": y}, limits, notes, size)
    raw.split = Split(kind="column", column=PART)
    return raw


def _pairs(arrays: dict[str, Array]) -> list[tuple[str, str]]:
    """Return the words after `x_` and `y_` and their parts.

    Raises:
        Unreadable: one of the two is missing.
    """
    pairs = []
    for word, part in PARTS.items():
        x, y = f"x_{word}", f"y_{word}"
        if x not in arrays and y not in arrays:
            continue
        if x not in arrays or y not in arrays:
            raise Unreadable(f"array {x if y in arrays else y} is missing beside {y if y in arrays else x}")
        pairs.append((word, part))
    return pairs


def _parts(arrays: dict[str, Array], limits: Limits, notes: list[str]) -> Raw:
    """Return one table of several parts, with a column that says which rows are which."""
    tables, words = [], list[Array]()
    for word, part in _pairs(arrays):
        x, y = f"x_{word}", f"y_{word}"
        tables.append(_examples(arrays[x], arrays[y], x, y))
        words.append(np.full(len(arrays[y]), part))
    if any(list(table) != list(tables[0]) for table in tables):
        raise Unreadable("the arrays x_train, x_test and so on have different numbers of columns")
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    raw = _table({PART: np.concatenate(words)} | whole, limits, notes)
    raw.split = Split(kind="column", column=PART)
    return raw


def _examples(x: Array, y: Array, x_name: str, y_name: str) -> dict[str, Array]:
    if x.ndim == 1:
        x = x[:, None]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if x.ndim != 2 or y.ndim != 1:
        raise Unreadable(
            f"{x_name} has the shape {x.shape} and {y_name} {y.shape}; a table has (rows, features) and "
            "(rows,): reshape them",
            column=x_name,
        )
    return _columns(x) | {"y": y}


def _columns(x: Array) -> dict[str, Array]:
    return {f"x{i}": x[:, i] for i in range(x.shape[1])}


def _named(array: Array) -> dict[str, Array]:
    if array.dtype.names is not None and array.ndim == 1:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim != 2:
        raise Unreadable(
            f"the array has the shape {array.shape}; a table has (rows, columns), or rows of named fields"
        )
    return {f"column_{i}": array[:, i - 1] for i in range(1, array.shape[1] + 1)}


def _table(arrays: dict[str, Array], limits: Limits, notes: list[str]) -> Raw:
    names = checked_names(list(arrays))
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        told = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:10])
        raise Unreadable(
            f"the arrays are no table: {told}; send x (rows, features) and y (rows,), or an array of one "
            "dimension for each column, all of one length"
        )
    (rows,) = next(iter(shapes))
    limits.check(rows, len(names))
    if not rows:
        raise Unreadable("the arrays have no row")
    columns = {name: _arrow(name, array) for name, array in zip(names, arrays.values(), strict=True)}
    return Raw(columns, rows, 1, notes, written={"format": "numpy"})


def _arrow(name: str, array: Array) -> pa.ChunkedArray:
    kind = array.dtype.kind
    if kind in "iufb":
        wide = array.astype(bool if kind == "b" else np.float64)
        return pa.chunked_array([pa.array(np.ascontiguousarray(wide))])
    if kind == "M":
        return pa.chunked_array([pa.array(np.ascontiguousarray(array).astype("M8[us]"))])
    if kind == "U":
        text = pa.array(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))
        return pa.chunked_array([text])
    raise Unreadable(
        f"column {shown(name)} has the type {array.dtype}; a column holds numbers, text (astype(str)), "
        "dates or bools",
        column=name,
    )
