"""States of running cohorts, kept as content-addressed blobs in a folder that all workers reach."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
from pathlib import Path

import structlog
import torch

from workers.engine import State

log = structlog.get_logger()


def save(folder: Path, state: State) -> str:
    """Keeps `state`; the blob's hash. Whole or not at all: written beside, then renamed."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    name = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, folder / name)
    return name


def load(folder: Path, name: str) -> State | None:
    """The state; None where the blob is gone or damaged, which costs the time to start afresh."""
    try:
        data = (folder / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != name:
            raise ValueError("the content does not have the blob's hash")
        state: State = torch.load(io.BytesIO(data), weights_only=True)
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        log.warning("checkpoint_unreadable", blob=name, error=str(error))
        return None
    return state


def discard(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
