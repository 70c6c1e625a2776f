"""Receives a file: the body of a request goes to a part file in the blob folder, counted and hashed.

The memory that this takes does not grow with the file.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool

from whichopt.service import blobs
from whichopt.service.errors import DatasetTooLarge

PART = f"{blobs.PART}upload-"
"""Begins the name of a file that is being received or read."""

PIECE = 1 << 20
"""Bytes that are written at a time."""


@dataclass(frozen=True)
class Received:
    """A file that has come whole: where it lies, its size and its SHA-256."""

    path: Path
    bytes: int
    sha256: str

    @property
    def held(self) -> int:
        """The bytes that it takes in the blob folder."""
        return self.bytes

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


async def receive(
    stream: AsyncIterator[bytes],
    folder: Path,
    *,
    most: int,
    room: int,
    check: Callable[[], None] = lambda: None,
) -> Received:
    """Write what comes to a part file; whatever goes wrong, nothing of it stays.

    Args:
        stream: the body.
        folder: the blob folder.
        most: the largest size of a file, in bytes.
        room: the bytes that all uploads together may still take.
        check: is called after each piece that is written, as other files may come at the same time; what it
            raises ends the receiving.

    Raises:
        DatasetTooLarge: it has more bytes than either.
        OSError: the folder cannot be written, or is full.
    """
    file, path = await run_in_threadpool(_part, folder)
    whole = False
    try:
        count, digest, waiting, size = 0, hashlib.sha256(), list[bytes](), 0
        async for piece in stream:
            count += len(piece)
            size += len(piece)
            check_size(count, most=most, room=room)
            waiting.append(piece)
            if size >= PIECE:
                await run_in_threadpool(_write, file, digest, b"".join(waiting))
                await run_in_threadpool(check)
                waiting, size = [], 0
        await run_in_threadpool(_write, file, digest, b"".join(waiting), last=True)
        await run_in_threadpool(check)
        whole = True
        return Received(path, count, digest.hexdigest())
    finally:
        # A client that goes away cancels this: nothing may be awaited here.
        with suppress(OSError):  # a full disk has told of itself already
            file.close()
        if not whole:
            path.unlink(missing_ok=True)


def check_size(size: int, *, most: int, room: int) -> None:
    """Raise DatasetTooLarge if a file of that size is too large for a file, or for the room that is left."""
    if size > most:
        raise DatasetTooLarge(
            f"a file may have {most:,} bytes at most (WHICHOPT_MAX_UPLOAD_BYTES); send it compressed by "
            "gzip, as Parquet, or with fewer rows"
        )
    if size > room:
        raise no_room(room)


def no_room(room: int) -> DatasetTooLarge:
    return DatasetTooLarge(
        f"all uploaded datasets together may take {room:,} bytes more (WHICHOPT_UPLOADS_BYTES); delete one "
        "that is not needed any more"
    )


def room_left(folder: Path, kept: set[str], *, most: int) -> int:
    """Return the bytes that uploads may still take.

    Args:
        folder: the blob folder.
        kept: the names of the blobs that hold uploaded datasets.
        most: the bytes that all of them may take, those included that are being received.
    """
    return max(0, most - used(folder, kept))


def used(folder: Path, kept: set[str]) -> int:
    """Return the bytes that uploads take; the arguments are as for `room_left`."""
    size = 0
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name in kept or file.name.startswith(PART):
            with suppress(FileNotFoundError):  # which somebody else has read, meanwhile
                size += file.stat().st_size
    return size


def _part(folder: Path) -> tuple[BinaryIO, Path]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, path = tempfile.mkstemp(dir=folder, prefix=PART)
    return os.fdopen(handle, "wb"), Path(path)


def _write(file: BinaryIO, digest: hashlib._Hash, data: bytes, *, last: bool = False) -> None:
    file.write(data)
    file.flush()  # so that its size counts
    digest.update(data)
    if last:
        os.fsync(file.fileno())
