"""States of running cohorts, kept as blobs."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import structlog
import torch

from whichopt.service import blobs
from whichopt.service.failures import failure
from whichopt.workers.engine import State

SHARE = 0.01
"""Most of the time that writing checkpoints may take: of a trial's, and as much again of its cohort's."""

log = structlog.get_logger()


def save(folder: Path, state: State) -> str:
    """Keeps `state`; the blob's name.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return blobs.save(folder, buffer.getvalue())


def load(folder: Path, name: str) -> State | None:
    """The state; None if the blob is gone or damaged, which costs the time to start afresh."""
    try:
        state: State = torch.load(io.BytesIO(blobs.load(folder, name)), weights_only=True)
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        log.warning("checkpoint_unreadable", blob=name, **failure(error, expected=True))
        return None
    return state
