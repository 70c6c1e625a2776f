"""Ends confirm by request, at the last look that is done.

The number of fresh seeds of that look is all that is kept: seeds from it on do not count, whatever becomes of
their runs. What waits is cancelled at once, and what runs at its next tick; then a planner concludes the job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from whichopt.service.db.jobs import UNFINISHED, Jobs
from whichopt.service.db.tables import cohort, job, trial
from whichopt.service.states import JobState, Phase


@dataclass(frozen=True)
class Concluding:
    """The answer to a request: the fresh seeds that count, or None and why the job cannot be concluded."""

    seeds: int | None
    state: JobState
    why_not: Literal["ended", "cancelled", "searching", "no look"] | None = None


class Conclusions:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.jobs = Jobs(connection)

    def request(self, job_id: int) -> Concluding:
        """End confirm at the look that is done; a second request changes nothing."""
        self.jobs.lock(job_id)
        row = self.connection.execute(
            sa.select(
                job.c.state, job.c.cancel_requested, job.c.phase, job.c.round, job.c.concluded_seeds
            ).where(job.c.id == job_id)
        ).one()
        state = JobState(row.state)
        if state.ended:
            return Concluding(None, state, "ended")
        if row.cancel_requested:
            return Concluding(None, state, "cancelled")
        if row.concluded_seeds is not None:
            return Concluding(row.concluded_seeds, state)
        if row.phase != Phase.CONFIRM:
            return Concluding(None, state, "searching")
        seeds = self._done(job_id, row.round - 1)
        if not seeds:
            return Concluding(None, state, "no look")
        self.jobs.bump(job_id, concluded_seeds=seeds)
        self.jobs.drop_queued(job_id)
        return Concluding(seeds, state)

    def _done(self, job_id: int, round_: int) -> int:
        """The fresh seeds of the stages of confirm that are complete, if the last one is that round."""
        unfinished = sa.exists().where(cohort.c.job_id == job_id, cohort.c.state.in_(UNFINISHED))
        of_round = sa.select(cohort.c.id).where(cohort.c.job_id == job_id, cohort.c.round == round_)
        row = self.connection.execute(
            sa.select(
                sa.func.min(trial.c.number).label("first"),
                sa.func.max(trial.c.number).label("last"),
                sa.select(unfinished).scalar_subquery().label("unfinished"),
            ).where(trial.c.cohort_id.in_(of_round))
        ).one()
        return int(row.first if row.unfinished else row.last + 1)
