"""Reads what active jobs do or wait for from the rows of jobs, cohorts and workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from whichopt.service.activity import ActiveJob, JobActivity, activity
from whichopt.service.db.jobs import ACTIVE, UNFINISHED
from whichopt.service.db.queues import is_here
from whichopt.service.db.tables import cohort, job, trial
from whichopt.service.db.workers import Workers
from whichopt.service.states import CohortState, Phase

Row = sa.Row[Any]

# Every look of an event stream asks these, and they take longer to make than to run.
_OF_JOBS = cohort.c.job_id.in_(sa.bindparam("ids", expanding=True))
_OWN = (
    sa.select(cohort.c.job_id, cohort.c.state, sa.func.count(), sa.func.min(cohort.c.id))
    .where(_OF_JOBS, cohort.c.state.in_(UNFINISHED))
    .group_by(cohort.c.job_id, cohort.c.state)
)
_ENDED = (
    sa.select(cohort.c.job_id, sa.func.max(cohort.c.finished_at)).where(_OF_JOBS).group_by(cohort.c.job_id)
)
_BEGAN = (
    sa.select(cohort.c.job_id, sa.func.min(trial.c.started_at))
    .join(trial, trial.c.cohort_id == cohort.c.id)
    .where(_OF_JOBS, cohort.c.state == CohortState.RUNNING)
    .group_by(cohort.c.job_id)
)
_BUSY = (
    sa.select(cohort.c.queue, sa.func.count().label("cohorts"))
    .where(cohort.c.state == CohortState.RUNNING)
    .group_by(cohort.c.queue)
)


class Activities:
    def __init__(self, connection: sa.Connection, *, alive_s: float) -> None:
        """`alive_s` is how recently a worker must have been seen to count."""
        self.connection = connection
        self.alive_s = alive_s

    def of_job(self, uid: str) -> JobActivity | None:
        """Return what the job does; None if it has ended or there is none."""
        rows = self.connection.execute(sa.select(job).where(job.c.uid == uid)).all()
        return next(iter(self.of(rows).values()), None)

    def of(self, rows: Sequence[Row]) -> dict[int, JobActivity]:
        """Return what each of the jobs that have not ended does, by its id."""
        active = [row for row in rows if row.state in ACTIVE]
        if not active:
            return {}
        ids = [row.id for row in active]
        processes = Counter(Workers(self.connection).live(self.alive_s))
        offered = self._offered() if any(row.function is not None for row in active) else set()
        busy, own, times = self._busy(), self._unfinished(ids), self._times(ids)
        activities: dict[int, JobActivity] = {}
        for row in active:
            running, _ = own.get((row.id, CohortState.RUNNING), (0, 0))
            queued, first = own.get((row.id, CohortState.QUEUED), (0, 0))
            last_result, training_since = times.get(row.id, (None, None))
            activities[row.id] = activity(
                ActiveJob(
                    queue=row.queue,
                    round=row.round,
                    phase=None if row.phase is None else Phase(row.phase),
                    cancel_requested=row.cancel_requested,
                    running=running,
                    queued=queued,
                    ahead=self._ahead(row, first) if queued and not running else 0,
                    since=last_result or row.created_at,
                    training_since=training_since,
                    compiling_since=row.compiling_since,
                    live=processes,
                    busy=busy[row.queue],
                    planners=processes.total(),
                    planners_busy=busy.total(),
                    lacking=None if (row.queue, row.function) in offered else row.function,
                    in_process=is_here(row.queue),
                )
            )
        return activities

    def _offered(self) -> set[tuple[str, str]]:
        """Return (queue, function) of all that live workers offer."""
        offers = Workers(self.connection).offers(within_s=self.alive_s)
        return {(queue, function) for _, queue, function, _ in offers}

    def _unfinished(self, job_ids: Sequence[int]) -> dict[tuple[int, str], tuple[int, int]]:
        """Return the number of queued and running cohorts, and the first of them, by (job, state)."""
        rows = self.connection.execute(_OWN, {"ids": list(job_ids)})
        return {(job_id, state): (count, first) for job_id, state, count, first in rows}

    def _times(self, job_ids: Sequence[int]) -> dict[int, tuple[Any, Any]]:
        """When the last cohort ended, and when the longest running trial began, by job.

        Every look of an event stream asks this: it reads the job's few cohorts, and of its trials only those
        of the cohorts in training.
        """
        last, longest = (
            {row[0]: row[1] for row in self.connection.execute(query, {"ids": list(job_ids)})}
            for query in (_ENDED, _BEGAN)
        )
        return {job_id: (last.get(job_id), longest.get(job_id)) for job_id in job_ids}

    def _busy(self) -> Counter[str]:
        """Return the number of cohorts in training, by queue."""
        return Counter({row.queue: row.cohorts for row in self.connection.execute(_BUSY)})

    def _ahead(self, row: Row, first: int) -> int:
        """Return the number of cohorts of other jobs that were queued before this job's first."""
        query = sa.select(sa.func.count()).where(
            cohort.c.state == CohortState.QUEUED,
            cohort.c.queue == row.queue,
            cohort.c.job_id != row.id,
            cohort.c.id < first,
        )
        return self.connection.execute(query).scalar_one()
