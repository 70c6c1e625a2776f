"""Large things, by the hash of their content, in a folder that all workers reach.

A row keeps the name, in a column that is marked with `info=BLOB` in `service/db/tables.py`. What no such
column holds is removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Container
from pathlib import Path

import structlog

from whichopt.service.failures import failure

ROOM = 1 << 18
"""Bytes of a blob of some size: a small report, or a small model's checkpoint."""

PART = "part-"
"""Begins the name of a blob that is being written, and of a folder for such."""

log = structlog.get_logger()


def save(folder: Path, data: bytes) -> str:
    """Keeps `data`; its name. Whole or not at all: written beside, then renamed.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    name = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, part = tempfile.mkstemp(dir=folder, prefix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return name


def adopt(folder: Path, part: Path, name: str) -> None:
    """Make a file of the folder's disk, which has the hash `name`, the blob of that name.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, folder / name)


def check(folder: Path) -> None:
    """Check that the folder can take a blob of some size now.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    discard(folder, save(folder, os.urandom(ROOM)))


def load(folder: Path, name: str) -> bytes:
    """Return the content stored under `name`.

    Raises:
        OSError: it is gone.
        ValueError: it is damaged.
    """
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != name:
        raise ValueError(f"blob {name} does not have its own hash")
    return data


def discard(folder: Path, name: str) -> None:
    """Remove a blob that no row names any more; what cannot be removed now is collected later."""
    try:
        (folder / name).unlink(missing_ok=True)
    except OSError as error:
        log.warning("blob_not_removed", blob=name, **failure(error))


def collect(folder: Path, keep: Container[str], *, older_than_s: float) -> int:
    """Removes what is not in `keep` and old enough that nobody is about to name it; how many."""
    removed = 0
    now = _folder_time(folder)
    for file in folder.iterdir() if folder.is_dir() else ():
        part = file.name.startswith(PART)
        if file.name in keep or not (part or file.is_file()):  # as a volume's own lost+found
            continue
        try:
            age_s = now - file.stat().st_mtime
        except FileNotFoundError:  # somebody else collects, too
            continue
        if age_s > older_than_s:
            if part and file.is_dir() and not file.is_symlink():
                shutil.rmtree(file, ignore_errors=True)  # what a reader of an upload left behind
            else:
                file.unlink(missing_ok=True)
            removed += 1
    return removed


def _folder_time(folder: Path) -> float:
    """The time by the clock that stamps the folder's files: with a network file system, another machine's."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"t")
            file.flush()
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # a full disk is one that is to be tidied
        return time.time()
