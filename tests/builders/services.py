"""The key of the app under test, and a dispatcher for it that only notes what it was asked for."""

from __future__ import annotations

from collections.abc import Iterable

KEY = "wo_the-key-of-these-tests"


class Recorder:
    """A dispatcher that rings nowhere."""

    def __init__(self) -> None:
        self.planned: list[int] = []
        self.reports: list[int] = []
        self.refuses: str | None = None
        self.trained: list[tuple[int, str]] = []

    def plan(self, job_id: int) -> None:
        self.planned.append(job_id)

    def cohorts(self, ids: Iterable[int], queue: str) -> None:
        self.trained += [(cohort_id, queue) for cohort_id in ids]

    def cohorts_of(self, queue: str) -> list[int]:
        """Return the cohorts that were rung for in that queue."""
        return [cohort_id for cohort_id, of in self.trained if of == queue]

    def report(self, job_id: int) -> None:
        self.reports.append(job_id)

    def waiting(self, _queue: str) -> int | None:
        return 0

    def refusal(self) -> str | None:
        return self.refuses
