"""Finds work that nobody does any more: cohorts with expired leases, and jobs without a planner.

A lease is judged as of a moment that the caller read from the database's clock: whatever stops the caller
between its look and its judgement makes no other lease run out.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from whichopt.service.db.clock import after, now, read, stale
from whichopt.service.db.cohorts import ATTEMPT_BACK, Cohorts
from whichopt.service.db.jobs import ACTIVE, UNFINISHED, Jobs
from whichopt.service.db.queues import of_workers
from whichopt.service.db.tables import cohort, job, trial, worker
from whichopt.service.db.tallies import Tallies
from whichopt.service.spec.upgrade import unit_of
from whichopt.service.states import CohortState, JobState, TrialState

MAX_PLANNERS = 20
"""Number of planners that may begin a round without ending it before the job fails. Rings without an answer
do not count: on a busy machine, workers may take minutes to start."""


class Lost:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.jobs = Jobs(connection)

    def expired(self, as_of: datetime, *, queue: str | None = None) -> list[tuple[int, int]]:
        """(cohort id, job id) of the cohorts whose lease had run out by then: the workers', or a queue's.

        A process that trains its own job sees to it by itself, whenever it is there; unless the job has ended
        or is to be cancelled, as the process may never come back.
        """
        over = sa.or_(job.c.state.not_in(ACTIVE), job.c.cancel_requested)
        whose = sa.or_(of_workers(cohort.c.queue), over) if queue is None else cohort.c.queue == queue
        query = (
            sa.select(cohort.c.id, cohort.c.job_id)
            .join(job, job.c.id == cohort.c.job_id)
            .where(_lapsed(as_of), whose)
        )
        return [(row.id, row.job_id) for row in self.connection.execute(query)]

    def take_back(
        self, cohort_id: int, job_id: int, *, attempts: int, alive_s: float, as_of: datetime
    ) -> bool:
        """Queues a cohort whose lease has run out, or fails its job after the last attempt.

        `alive_s` is how recently a worker must have been seen to count as alive.
        """
        self.jobs.lock(job_id)
        lapsed = sa.and_(cohort.c.id == cohort_id, _lapsed(as_of))
        row = self.connection.execute(
            sa.select(
                cohort,
                job.c.cancel_requested,
                job.c.concluded_seeds,
                job.c.state.label("job_state"),
                job.c.spec,
            )
            .join(job, job.c.id == cohort.c.job_id)
            .where(lapsed)
        ).one_or_none()
        if row is None:
            return False
        goes_on = row.job_state in ACTIVE and not row.cancel_requested and row.concluded_seeds is None
        again = row.attempt < attempts and goes_on
        state = CohortState.QUEUED if again else CohortState.CANCELLED
        self.connection.execute(
            cohort.update().where(lapsed).values(state=state, owner=None, lease_until=None, rung_at=None)
        )
        stamp = Cohorts(self.connection).stamp
        if again:
            stamp(cohort_id, job_id, TrialState.QUEUED)
        elif not goes_on:
            stamp(cohort_id, job_id, TrialState.CANCELLED)
            self.jobs.end_if_cancelled(job_id)
        else:
            stamp(cohort_id, job_id, TrialState.FAILED)
            self.jobs.fail(job_id, code="worker_lost", detail=self._detail(row, alive_s))
        return again

    def note(self, cohort_id: int, *, worker_name: str, cause: str, lease_s: float, quiet_s: float) -> bool:
        """Ends the lease that a process of that worker held on the cohort: it was seen to end.

        `cause` is what was seen, and what to do about it. False if the worker does not hold the cohort, or a
        lease of `lease_s` was renewed less than `quiet_s` seconds ago: then another process of it does.
        """
        noted = self.connection.execute(
            cohort.update()
            .where(
                cohort.c.id == cohort_id,
                cohort.c.worker == worker_name,
                cohort.c.state == CohortState.RUNNING,
                cohort.c.owner.is_not(None),
                cohort.c.lease_until <= after(lease_s - quiet_s),
            )
            .values(lease_until=after(-1), owner=None, lost=cause)
        )
        return bool(noted.rowcount)

    def give_time(self, lease_s: float) -> int:
        """Gives all who hold a lease a whole one from now on: nobody could renew it. How many those are."""
        given = self.connection.execute(
            cohort.update()
            .where(cohort.c.state == CohortState.RUNNING, cohort.c.owner.is_not(None))
            .values(lease_until=after(lease_s))
        )
        return int(given.rowcount)

    def lapse_all(self) -> None:
        """Ends every lease of a worker: for a home that has just started and knows that none of them lives.

        The attempts that its own end cut off do not count. A worker that has outlived its home after all
        hears that its claim is lost. Processes that train their own jobs are none of the home's.
        """
        self.connection.execute(
            cohort.update()
            .where(cohort.c.state == CohortState.RUNNING, of_workers(cohort.c.queue))
            .values(lease_until=after(-1), owner=None, attempt=ATTEMPT_BACK)
        )

    def stalled(self, not_rung_for_s: float) -> list[int]:
        """Active jobs with nothing left to train and no planner rung for of late; notes that one is now.

        These are jobs without a first round, or whose last round ended without a successor or conclusion,
        as after a crash between any two steps, or a lost message.
        """
        waiting = sa.exists().where(cohort.c.job_id == job.c.id, cohort.c.state.in_(UNFINISHED))
        unrung = sa.and_(
            job.c.state.in_(ACTIVE),
            job.c.cancel_requested.is_(False),
            of_workers(job.c.queue),
            ~waiting,
            sa.or_(job.c.rung_at.is_(None), stale(job.c.rung_at, not_rung_for_s)),
        )
        unrung_jobs = self.connection.execute(
            job.update().where(unrung).values(rung_at=now()).returning(job.c.id, job.c.plan_rings)
        ).all()
        for row in unrung_jobs:
            if row.plan_rings >= MAX_PLANNERS:
                detail = (
                    f"{MAX_PLANNERS} planners began the job's next round, and none finished it or reported "
                    "why; the workers' logs say how their processes ended"
                )
                self.jobs.fail(row.id, code="planner_lost", detail=detail)
        return [row.id for row in unrung_jobs if row.plan_rings < MAX_PLANNERS]

    def about(self, functions: Collection[str], *, queue: str) -> list[int]:
        """Return the jobs about these functions that have not ended and are trained from that queue."""
        query = sa.select(job.c.id).where(
            job.c.function.in_(functions), job.c.queue == queue, job.c.state.in_(ACTIVE)
        )
        return list(self.connection.scalars(query.order_by(job.c.id)))

    def take_back_here(self, job_id: int) -> None:
        """Queue again what the process of a job left that is gone; nobody else may work on it.

        The time in which nobody was at work does not count against its minutes.
        """
        self.jobs.lock(job_id)
        left = sa.select(cohort.c.id).where(cohort.c.job_id == job_id, cohort.c.state == CohortState.RUNNING)
        for cohort_id in list(self.connection.scalars(left)):
            self.connection.execute(
                cohort.update()
                .where(cohort.c.id == cohort_id)
                .values(state=CohortState.QUEUED, owner=None, lease_until=None, attempt=ATTEMPT_BACK)
            )
            Cohorts(self.connection).stamp(cohort_id, job_id, TrialState.QUEUED)
        if not self.jobs.goes_on(job_id):
            self.jobs.drop_queued(job_id)
            self.jobs.end_if_cancelled(job_id)
            return
        row = self.connection.execute(
            sa.select(job.c.started_at, job.c.rung_at).where(job.c.id == job_id)
        ).one()
        if row.started_at is None:
            return
        # Ticks, results and planners note when somebody was at work, and so does this: no time goes twice.
        at = read(self.connection)
        at_work = max(time for time in (row.started_at, row.rung_at) if time is not None)
        goes_on = {"started_at": row.started_at + (at - at_work), "rung_at": at}
        self.connection.execute(job.update().where(job.c.id == job_id).values(goes_on))

    def resume(self, job_id: int) -> tuple[list[int], str] | None:
        """Let a job that has failed go on: what its last round had not finished is queued, with all attempts.

        The time that it stood still does not count against its minutes. (cohort ids, queue); None if it has
        not failed, or a worker is still ending what it trained of it.
        """
        self.jobs.lock(job_id)
        held = sa.exists().where(
            cohort.c.job_id == job.c.id,
            cohort.c.state == CohortState.RUNNING,
            cohort.c.owner.is_not(None),
            cohort.c.lease_until >= now(),
        )
        row = self.connection.execute(
            sa.select(job).where(job.c.id == job_id, job.c.state == JobState.FAILED, ~held)
        ).one_or_none()
        if row is None:
            return None
        goes_on: dict[str, Any] = {"state": JobState.QUEUED}
        if row.started_at is not None:
            still = read(self.connection) - row.finished_at
            goes_on = {"state": JobState.RUNNING, "started_at": row.started_at + still}
        unended = sa.select(cohort.c.id).where(
            cohort.c.job_id == job_id,
            cohort.c.round == row.round - 1,
            cohort.c.state.in_((*UNFINISHED, CohortState.CANCELLED)),
        )
        # Of a job that was ended by request, nothing is trained any more: it only waits for its planner.
        ids = [] if row.concluded_seeds is not None else sorted(self.connection.scalars(unended))
        revision = self.jobs.bump(
            job_id, **goes_on, error=None, finished_at=None, plan_rings=0, rung_at=now()
        )
        self.connection.execute(
            cohort.update()
            .where(cohort.c.id.in_(ids))
            .values(
                state=CohortState.QUEUED,
                attempt=0,
                owner=None,
                lease_until=None,
                finished_at=None,
                lost=None,
                rung_at=now(),
            )
        )
        with Tallies(self.connection).follow(job_id, ids):
            self.connection.execute(
                trial.update()
                .where(trial.c.cohort_id.in_(ids), trial.c.result.is_(sa.null()))
                .values(state=TrialState.QUEUED, revision=revision)
            )
        return ids, row.queue

    def _detail(self, row: sa.Row[Any], alive_s: float) -> str:
        examples = row.kept_examples
        progress = (
            f"without training past {examples:,} {unit_of(row.spec)}"
            if examples
            else "before its first checkpoint"
        )
        times = "once" if row.attempt == 1 else f"{row.attempt} times"
        return (
            f"the job was given up, as cohort {row.id} lost its worker {times} {progress} "
            f"(last: {row.worker}): {row.lost or self._unseen(row, alive_s)}"
        )

    def _unseen(self, row: sa.Row[Any], alive_s: float) -> str:
        """The record of an attempt whose end nobody saw."""
        seen_at = self.connection.scalar(sa.select(worker.c.seen_at).where(worker.c.name == row.worker))
        if seen_at is None:
            return (
                "this worker is gone and did not give the cohort back. Its machine, container or process was "
                "ended from outside, or it can no longer reach the database; look at its log"
            )
        ago = (read(self.connection) - seen_at).total_seconds()
        if ago > alive_s:
            return (
                f"nothing has been heard from this worker for {ago:.0f} s. Its machine, container or process "
                "was ended from outside, or it cannot reach the database; look at its log"
            )
        return (
            f"this worker is alive (seen {max(0.0, ago):.0f} s ago), but its training process has stopped "
            "renewing the lease. That process ended or hangs; look at the worker's log"
        )


def _lapsed(as_of: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(cohort.c.state == CohortState.RUNNING, cohort.c.lease_until < as_of)
