"""What a client sends as a dataset: a file as it is, a data frame as Parquet, arrays in NumPy's formats."""

from __future__ import annotations

import errno
import hashlib
import io
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from whichopt.service.data_root import PREFIX
from whichopt.service.data_root import name_of as folder_name
from whichopt.service.errors import UnsupportedMedia
from whichopt.service.texts import LANGUAGE
from whichopt.service.uploads import MEDIA_TYPES

PIECE = 1 << 18


@dataclass(frozen=True)
class Sent:
    """A dataset that is to be sent: its content, which can be read again, and what it is called."""

    content: BinaryIO
    size: int
    kind: str
    name: str
    file: str | None
    folder: str | None = None
    """The folder that the service is to read where it lies, in place of a content."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request that sends it."""
        length = {"Content-Length": str(self.size)}
        return length if self.folder is not None else {"Content-Type": self.kind, **length}

    def pieces(self, sent: Callable[[int, int], object] | None) -> Iterator[bytes]:
        """Yield the content from its beginning; `sent` is told how many bytes of how many have gone.

        Raises:
            OSError: it has become shorter. What is added to it meanwhile is not sent.
        """
        self.content.seek(0)
        gone = 0
        while piece := self.content.read(min(PIECE, self.size - gone)):
            yield piece
            gone += len(piece)
            if sent is not None:
                sent(gone, self.size)
        if gone < self.size:
            why = "it became shorter while it was sent; send it again once it is whole"
            raise OSError(errno.EIO, why, self.file)


@contextmanager
def opened(data: Any, name: str | None, task: str | None = None) -> Iterator[Sent]:
    """Yield what is to be sent of a path, a folder of the service, a data frame, an array, or arrays by name.

    A file for the task `language` is a text, whatever the end of its name is.

    Raises:
        UnsupportedMedia: it is none of these, or a file whose name does not tell its format.
        ImportError: pandas cannot write Parquet, as it lacks a package.
        ValueError: an array holds Python objects.
        OSError: the file cannot be read.
    """
    if isinstance(data, str | Path) and str(data).startswith(PREFIX) and not Path(data).exists():
        folder = str(data).removeprefix(PREFIX)
        yield Sent(io.BytesIO(), 0, "", name or folder_name(folder), None, folder)
        return
    if isinstance(data, str | Path):
        path = Path(data)
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe might wait forever
            raise UnsupportedMedia(
                f"{path.name!r} is no regular file; save what comes from it in one, and send that",
                field="file",
                value=path.name,
            )
        with path.open("rb") as file:
            size = path.stat().st_size
            kind = "text/plain" if task == LANGUAGE else _kind(path)
            yield Sent(file, size, kind, name or name_of(path), path.name)
        return
    with tempfile.TemporaryFile() as file:
        kind = _write(data, file)
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield Sent(file, size, kind, name or f"data-{digest[:8]}", None)


def name_of(path: Path) -> str:
    """Return the name of the dataset in a file: the file's, without its ends.

    >>> name_of(Path("My penguins (2).csv.gz"))
    'My-penguins-2'
    """
    stem = path.name
    for end in (".gz", *MEDIA_TYPES):
        stem = stem[: -len(end)] if stem.lower().endswith(end) else stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64] or "data"


def _kind(path: Path) -> str:
    stem = path.name.lower().removesuffix(".gz")
    kind = next((kind for end, kind in MEDIA_TYPES.items() if stem.endswith(end)), None)
    if kind is None:
        raise UnsupportedMedia(
            f"the name of {path.name!r} does not tell its format; it must end with one of "
            f"{', '.join(MEDIA_TYPES)}, and .gz if it is compressed",
            field="file",
            value=path.name,
            allowed=list(MEDIA_TYPES),
        )
    return kind


def _write(data: Any, file: BinaryIO) -> str:
    """Write the data to the file; return its media type."""
    if hasattr(data, "write_parquet"):  # polars
        data.write_parquet(file)
        return MEDIA_TYPES[".parquet"]
    if hasattr(data, "to_parquet"):  # pandas
        try:
            data.to_parquet(file, index=False, engine="pyarrow")
        except ImportError as error:
            raise ImportError(
                "pandas needs pyarrow to send a data frame (pip install pyarrow); without it, save the frame "
                "with to_csv(..., index=False), and send that file"
            ) from error
        return MEDIA_TYPES[".parquet"]
    if hasattr(data, "__arrow_c_stream__"):  # the Arrow PyCapsule interface: frames of many libraries
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise ImportError(
                f"a {type(data).__name__} is sent by pyarrow, which is not installed: pip install pyarrow"
            ) from error
        parquet.write_table(pyarrow.table(data), file)
        return MEDIA_TYPES[".parquet"]
    if isinstance(data, Mapping) and data:
        _write_arrays(data, file)
        return MEDIA_TYPES[".npz"]
    if hasattr(data, "__array__"):
        import numpy as np

        np.lib.format.write_array(file, _plain("the array", data), allow_pickle=False)
        return MEDIA_TYPES[".npy"]
    raise UnsupportedMedia(
        f"a {type(data).__name__} is no dataset; give the path of a file, a data frame of pandas or polars, "
        "a table of Arrow, an array, or arrays by their names, such as {'x': x, 'y': y}",
        field="file",
    )


def _write_arrays(arrays: Mapping[Any, Any], file: BinaryIO) -> None:
    import numpy as np

    # np.savez would take some names of columns for its own arguments.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _plain(f"the array {name!r}", values), allow_pickle=False)


def _plain(what: str, values: Any) -> Any:
    """Return the values as an array without Python objects; text is turned into NumPy's own."""
    import numpy as np

    array = np.asarray(values)
    if array.dtype.hasobject:
        if array.dtype != object or not all(isinstance(value, str) for value in array.flat):
            raise ValueError(f"{what} holds Python objects; turn them into numbers or text")
        array = array.astype(str)
    return array
