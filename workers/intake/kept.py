"""What is kept of a table, and its file: the bytes that `safetensors` would write.

It is written here, as columns stand side by side in the file. `safetensors` would need all of them so in
memory, and a second reading for the hash; for a large table that takes a third of all time and memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.workers.intake.together import slices

Array = npt.NDArray[Any]

METADATA = "whichopt"
"""The key of the metadata under which the table stands."""

KINDS = {
    np.dtype(kind): name
    for kind, name in (
        ("int64", "I64"),
        ("float64", "F64"),
        ("int32", "I32"),
        ("int16", "I16"),
        ("int8", "I8"),
        ("uint8", "U8"),
    )
}
"""Names of types in the order of their tensors; those of one type stand in the order of their names."""
ALIGNED = 8


@dataclass(frozen=True)
class Kept:
    """The columns that are kept: numbers (rows,), codes of categories (rows,), and what else rows have."""

    rows: int
    numbers: list[npt.NDArray[np.float64]]
    codes: list[npt.NDArray[np.int16]]
    others: dict[str, Array]

    @property
    def target(self) -> Array:
        return self.others["target"]

    @property
    def size(self) -> int:
        """Size of the columns in bytes."""
        columns: list[Array] = [*self.numbers, *self.codes, *self.others.values()]
        return sum(column.nbytes for column in columns)

    def tensors(self) -> dict[str, Array]:
        """Return the tensors as whoever reads the file finds them."""
        return {
            name: np.concatenate([*self._pieces(name, kind, shape)]) for name, kind, shape in self._shapes()
        }

    def write(self, path: Path, words: str) -> str:
        """Write the tensors and the words to a file; return the SHA-256 of its bytes.

        Raises:
            OSError: the file cannot be written.
        """
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for piece in self._file(words):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    def _file(self, words: str) -> Iterator[bytes | memoryview]:
        yield self._header(words)
        for name, kind, shape in self._shapes():
            for piece in self._pieces(name, kind, shape):
                yield piece.reshape(-1).view(np.uint8).data

    def _header(self, words: str) -> bytes:
        entries: dict[str, Any] = {"__metadata__": {METADATA: words}}
        end = 0
        for name, kind, shape in self._shapes():
            start, end = end, end + kind.itemsize * int(np.prod(shape))
            entries[name] = {"dtype": KINDS[kind], "shape": shape, "data_offsets": [start, end]}
        header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        header += b" " * (-len(header) % ALIGNED)
        return len(header).to_bytes(8, "little") + header

    def _shapes(self) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
        """Return name, type and shape of each tensor, in the order of the file."""
        kinds = list(KINDS)
        found: list[tuple[str, np.dtype[Any], tuple[int, ...]]] = [
            ("numbers", np.dtype(np.float64), (self.rows, len(self.numbers))),
            ("codes", np.dtype(np.int16), (self.rows, len(self.codes))),
            *((name, values.dtype, values.shape) for name, values in self.others.items()),
        ]
        return sorted(found, key=lambda one: (kinds.index(one[1]), one[0]))

    def _pieces(self, name: str, kind: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[Array]:
        """Yield the tensor in pieces of some rows."""
        if name in self.others:
            yield np.ascontiguousarray(self.others[name])
            return
        columns: list[Any] = self.numbers if name == "numbers" else self.codes
        for rows in slices(self.rows):
            piece = np.empty((len(range(*rows.indices(self.rows))), shape[1]), kind)
            for i, column in enumerate(columns):
                piece[:, i] = column[rows]
            yield piece
