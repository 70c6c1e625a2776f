"""States of running cohorts, kept as blobs."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import structlog
import torch

from whichopt.service import blobs
from whichopt.service.failures import failure
from whichopt.workers.engine import State

SHARE = 0.01
"""Most of the time that writing checkpoints may take: of a trial's, and as much again of its cohort's."""

log = structlog.get_logger()


def save(folder: Path, state: State) -> str:
    """Keeps `state`; the blob's name. It goes to the disk as it is written: a copy in memory may not fit.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, part = tempfile.mkstemp(dir=folder, prefix=blobs.PART)
    try:
        with os.fdopen(handle, "w+b") as file:
            write(state, file)
            file.seek(0)
            name = hashlib.file_digest(file, "sha256").hexdigest()
        blobs.adopt(folder, Path(part), name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return name


class _Disk:
    """A file that remembers why it took no more: torch tells of that as a RuntimeError about positions."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def write(state: Any, file: BinaryIO) -> None:
    """Write `state` as torch does.

    Raises:
        OSError: the disk is full, or takes no file as large.
    """
    disk = _Disk(file)
    try:
        torch.save(state, disk)  # type: ignore[arg-type]
    except RuntimeError as error:
        if disk.error is None:
            raise
        raise disk.error from error


def load(folder: Path, name: str) -> State | None:
    """The state; None if the blob is gone or damaged, which costs the time to start afresh."""
    try:
        state: State = torch.load(io.BytesIO(blobs.load(folder, name)), weights_only=True)
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        log.warning("checkpoint_unreadable", blob=name, **failure(error, expected=True))
        return None
    return state
