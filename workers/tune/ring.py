"""A dispatcher within one process: what was rung for waits in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple


class Ring(NamedTuple):
    """What somebody should do with a row."""

    what: Literal["plan", "train", "report"]
    row: int


class Here:
    """Writes down what was rung for; `take` gives it back, one at a time."""

    def __init__(self) -> None:
        self._rung: deque[Ring] = deque()

    def plan(self, job_id: int) -> None:
        self._rung.append(Ring("plan", job_id))

    def cohorts(self, ids: Iterable[int], queue: str) -> None:
        del queue  # all are for this process
        self._rung.extend(Ring("train", cohort_id) for cohort_id in ids)

    def report(self, job_id: int) -> None:
        self._rung.append(Ring("report", job_id))

    def waiting(self, _queue: str, /) -> int | None:
        return len(self._rung)

    def refusal(self) -> str | None:
        return None

    def take(self) -> Ring | None:
        """Return what was rung for first, None if there is nothing."""
        return self._rung.popleft() if self._rung else None
