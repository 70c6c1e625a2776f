"""What a person reads while a job runs: lines now and then; in a terminal or a notebook, one that changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from whichopt.service.guests import Rehearsed
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import JobView

Say = Callable[[str], None]

SAY_S = 10.0
"""Least seconds between two lines of progress."""

SHARE = 0.05
"""The same as a share of the time so far, so that a job of hours does not fill a log."""

CHANGE_S = 1.0
"""Least seconds between two states of a line that changes."""


class ToStderr:
    """Prints lines on the standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, line: str) -> None:
        self._stream.write(f"whichopt: {line}\n")
        self._stream.flush()


class InPlace(ToStderr):
    """Prints lines where the last one can be written over: in a terminal, and in a notebook's cell."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._open = 0

    def __call__(self, line: str) -> None:
        self.end()
        super().__call__(line)

    def change(self, line: str) -> None:
        """Print a line in the place of the last one that changes."""
        text = f"whichopt: {line}"
        self._stream.write("\r" + text.ljust(self._open))
        self._stream.flush()
        self._open = len(text)

    def end(self) -> None:
        """Leave the line that changes as it is: whatever follows begins below it."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = 0


def to_stderr() -> Say:
    """Return what prints on the standard error as it is now: a terminal's, a notebook's, or a file."""
    stream = sys.stderr
    # ipykernel's stream says that it is no terminal, but its cells heed a carriage return.
    if stream.isatty() or type(stream).__module__.startswith("ipykernel."):
        return InPlace(stream)
    return ToStderr(stream)


class Progress:
    """Says how far a job is: `tick` looks, not too often, and says what has changed."""

    def __init__(
        self, say: Say, view: Callable[[], JobView | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._clock = clock
        self._place = say if isinstance(say, InPlace) else None
        self._view = view
        self._began = self._said_at = self._looked_at = clock()
        self._last = ""

    def tick(self) -> None:
        """Say how far the job is, if it is time."""
        now = self._clock()
        every = CHANGE_S if self._place is not None else max(SAY_S, SHARE * (now - self._began))
        if now - self._looked_at < CHANGE_S or now - self._said_at < every:
            return
        self._looked_at = now
        view = self._view()
        if view is not None:
            self.tell(view)

    def tell(self, view: JobView) -> None:
        """Say how far the job is, unless that was said last."""
        words = _words(view)
        if words is not None and words != self._last:
            (self._say if self._place is None else self._place.change)(words)
            self._said_at, self._last = self._clock(), words

    def end(self) -> None:
        """Leave what was said as it is: something else follows."""
        if self._place is not None:
            self._place.end()


def _words(view: JobView) -> str | None:
    """Return how far the job is; None before its first round."""
    if view.phase is None:
        return None
    done, total = view.progress.trials_done, view.progress.trials_total
    words = f"{view.phase}: {done} of {total} trials, {view.progress.examples} epochs"
    goal = view.spec.goal
    known = [one for one in view.ledger if one.best_value is not None]
    if not known:
        return words
    best = min(known, key=lambda one: goal.sign * (one.best_value or 0.0))
    return f"{words}; best {goal.metric} in search {best.best_value:.4g} ({best.optimizer})"


def rehearsing(spec: ResolvedSpec) -> str:
    """Return what is said before a rehearsal."""
    runs = len(spec.trained_labels) + 2
    return f"rehearsing {spec.workload.title}: {runs} runs of one epoch, before anything is spent"


def rehearsed(known: Rehearsed) -> list[str]:
    """Return what is said after a rehearsal: what an epoch costs, what is judged, and what was found."""
    seconds = sorted(known.epoch_seconds.values())
    least, most = (f"{one:.2g} s" for one in (seconds[0], seconds[-1]))
    epoch = most if least == most else f"{least} to {most}"
    held = {
        "split": "the test part that run.split holds back",
        "test": "run.test",
        "validation": "the last report, as the function calls no run.test",
    }[known.judged_on]
    repeats = {
        "bits": "the same seeds give the same bits",
        "close": "the same seeds give nearly the same",
        "differs": "the same seeds give other results",
    }[known.repeats]
    lines = [f"rehearsed: an epoch takes {epoch}; {repeats}; the verdict rests on {held}"]
    return [*lines, *(f"warning ({one.code}): {one.detail}" for one in known.findings)]
