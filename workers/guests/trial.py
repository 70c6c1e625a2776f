"""One trial of a training function, from its seeds to its end; the same in a child and in this process."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from whichopt.service.trials import TrialPlan
from whichopt.workers.guests import by_hand
from whichopt.workers.guests.course import Course, Send, Stopped
from whichopt.workers.guests.guest import Guest, TrainingFunction
from whichopt.workers.guests.kept import Kept
from whichopt.workers.guests.run import Run

LONGEST_TRACEBACK = 16_384

NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")


def perform(
    guest: Guest,
    function: TrainingFunction,
    plan: TrialPlan,
    send: Send,
    *,
    kept: Path | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Exception | None:
    """Call the function with the run of that plan, and tell all that it does.

    Returns:
        What it raised, if that ends more than the trial.
    """
    course = Course(plan, guest.goal, send, cancelled=cancelled)
    run = Run(plan, guest, course, None if kept is None else Kept(kept, guest.checkpoint_s))
    run.seed_all()
    by_hand.set_run_of_trial(run)
    send({"begun": True})
    course.begin()
    raised: Exception | None = None
    try:
        function(run)
    except Stopped:
        pass
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- told, and returned
        if not isinstance(error, SystemExit) or error.code not in (None, 0):
            raised = error if isinstance(error, Exception) else RuntimeError(f"it exits with {error.code!r}")
            raised.__traceback__ = error.__traceback__
    finally:
        by_hand.forget_run_of_trial()
    if course.state is not None:
        raised = None  # the trial was over: what the function did after that is its own
    if raised is not None:
        send({"raised": {**described(raised), "nonfinite": not run.is_finite()}})
    send({"ended": {"state": course.ended().value, "seconds": course.seconds, **run.facts()}})
    return raised


def described(error: BaseException) -> dict[str, Any]:
    """Return an error as text, from the person's first line on."""
    told = traceback.TracebackException(type(error), error, _from_the_person(error.__traceback__))
    return {
        "type": type(error).__name__,
        "text": str(error)[:LONGEST_TRACEBACK],
        "traceback": "".join(told.format())[-LONGEST_TRACEBACK:],
        "memory": isinstance(error, MemoryError | torch.OutOfMemoryError)
        or (isinstance(error, RuntimeError) and any(word in str(error).lower() for word in NO_MEMORY)),
    }


def _from_the_person(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames
