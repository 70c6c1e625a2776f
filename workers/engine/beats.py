"""Reaches the watch between two evaluations, which may lie minutes apart if a network is slow."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from whichopt.workers.engine import Watch

BEAT_S = 2.0
"""Seconds between two beats: most networks are evaluated more often, and never beat."""


class Stopped(Exception):
    """The watch asked to stop between two evaluations."""


class Beat:
    """Tells the watch how far training has come, and hears if it should stop.

    Args:
        watch: the interface by which the outside reaches the run.
        tell: calls `watch.progress` for each trial that is trained.
    """

    def __init__(self, watch: Watch, tell: Callable[[], None]) -> None:
        self.watch = watch
        self.tell = tell
        self.at = monotonic()

    @property
    def due(self) -> bool:
        """Tell if it is time."""
        return monotonic() - self.at >= BEAT_S

    def __call__(self) -> None:
        """Tell the watch.

        Raises:
            Stopped: `watch.cancelled()` became true.
        """
        self.tell()
        if self.watch.cancelled():
            raise Stopped
        self.at = monotonic()
