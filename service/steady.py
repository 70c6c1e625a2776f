"""The thread that repeats a step until it is stopped, whatever the step raises.

All threads of ours that live long are of this kind, so that none of them ends unseen.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod

import structlog

from whichopt.service.failures import failure, in_line

log = structlog.get_logger()

PATIENCE_S = 120.0
"""For how long after its time a step may be missed: a database that is busy or away makes one wait."""


class Steady(threading.Thread):
    """Repeats `step`, with pauses. A step that raises is logged, and tried again after the same pause.

    Only the first of failures that are alike is logged, and how many there were once a step succeeds: a log
    of thousands of them would fill the disk that may be to blame.
    """

    def __init__(self, name: str, pause_s: float, *, at_once: bool = False) -> None:
        """Make the thread; `at_once` has it begin with a step, instead of with a pause."""
        super().__init__(name=name, daemon=True)
        self.pause_s = pause_s
        self._at_once = at_once
        self._stop_asked = threading.Event()
        self._succeeded_at = time.monotonic()
        self._failures = 0
        self._last_failure = ""

    @abstractmethod
    def step(self) -> None:
        """Do the step that is repeated; it may change `pause_s`, and calls `end` for the last time."""

    def failed(self, error: Exception) -> None:
        """A step has raised: log it unless it is as the one before."""
        words = f"{type(error).__name__}: {in_line(error)}"
        self._failures += 1
        if words != self._last_failure:
            log.error("step_failed", thread=self.name, **failure(error))
        self._last_failure = words

    def run(self) -> None:
        while not self._stop_asked.wait(0 if self._at_once else self.pause_s):
            self._at_once = False
            try:
                self.step()
            except Exception as error:  # noqa: BLE001
                self.failed(error)
            else:
                self._succeeded()

    def end(self) -> None:
        """Take no further step."""
        self._stop_asked.set()

    def stop(self) -> None:
        """End, and wait some seconds for the step that is under way."""
        self.end()
        self.join(timeout=5)

    def trouble(self) -> str | None:
        """Return in words what is wrong with this thread; None if its steps succeed."""
        if not self.is_alive():
            return f"the {self.name} is not running; start the service again"
        silent_s = time.monotonic() - self._succeeded_at
        if silent_s <= self.pause_s + PATIENCE_S:
            return None
        why = f" (the last attempt: {self._last_failure})" if self._last_failure else ""
        return f"the {self.name} has got nothing done for {silent_s:.0f} s{why}; the log says more"

    def _succeeded(self) -> None:
        if self._failures:
            log.info("steps_succeed_again", thread=self.name, failed=self._failures)
        self._failures, self._last_failure = 0, ""
        self._succeeded_at = time.monotonic()
