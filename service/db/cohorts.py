"""The cohorts: claimed, renewed, finished under a fence, handed back. The heart of "nothing is lost".

A claim sets a fresh owner token and a lease. Whoever holds the token may renew and finish; when the lease
has run out, the reaper or another worker takes the cohort over with another token, and what the first
still tries to write changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa

from whichopt.service.db.clock import after, now, stale
from whichopt.service.db.example_values import ExampleValues
from whichopt.service.db.jobs import ACTIVE, Jobs
from whichopt.service.db.readable import read_spec, readable
from whichopt.service.db.tables import cohort, job, trial, worker
from whichopt.service.db.tallies import Tallies
from whichopt.service.db.trials import Trials
from whichopt.service.environment import Environment
from whichopt.service.errors import UnreadableRow
from whichopt.service.ids import new_uid
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.needs import needs_of
from whichopt.service.states import CohortState, JobState, Phase, TrialState
from whichopt.service.trials import Point, TrialPlan, TrialResult


@dataclass(frozen=True)
class Claim:
    """A cohort that is ours until the lease runs out."""

    cohort_id: int
    job_id: int
    owner: str
    attempt: int
    spec: ResolvedSpec
    executor: str
    queue: str
    plans: list[TrialPlan]
    checkpoint: str | None
    seconds_left: float | None = None
    """Until the job's time for its search is over; None if it has no limit, and in confirm."""


ATTEMPT_BACK = sa.case((cohort.c.attempt > 0, cohort.c.attempt - 1), else_=0)
"""The attempt is given back: it was cut off by nobody's fault."""


class Beat(Enum):
    """The answer that a worker gets when it renews its lease."""

    GO_ON = "go on"
    CANCEL = "the job is cancelled, has failed, or is to end without it"
    GIVE_BACK = "this worker is stopping"
    LOST = "the lease ran out and the cohort is not ours any more"


class Cohorts:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.jobs = Jobs(connection)
        self.tallies = Tallies(connection)

    def claim(self, cohort_id: int, *, worker_name: str, lease_s: float, attempts: int) -> Claim | None:
        """Takes the cohort, if it is queued or its holder was seen to end; None otherwise.

        Of a lease that has only run out the reaper judges: its holder may have slept with its machine.
        Attempts are counted here, and the reaper fails the job of a cohort that has used them up. A job whose
        spec or plans cannot be read fails here: nobody could train it.
        """
        job_id = self.connection.scalar(sa.select(cohort.c.job_id).where(cohort.c.id == cohort_id))
        if job_id is None:
            return None
        self.jobs.lock(job_id)
        if not self.jobs.goes_on(job_id):
            return None
        owner = new_uid()
        given_up = sa.and_(
            cohort.c.state == CohortState.RUNNING, cohort.c.owner.is_(None), cohort.c.lease_until < now()
        )
        free = sa.or_(cohort.c.state == CohortState.QUEUED, given_up)
        claimed = self.connection.execute(
            cohort.update()
            .where(cohort.c.id == cohort_id, free, cohort.c.attempt < attempts)
            .values(
                state=CohortState.RUNNING,
                owner=owner,
                worker=worker_name,
                lease_until=after(lease_s),
                attempt=cohort.c.attempt + 1,
                examples=0,
                progress=None,
                lost=None,
            )
            .returning(cohort.c.attempt, cohort.c.checkpoint)
        ).one_or_none()
        if claimed is None:
            return None
        row = self.connection.execute(
            sa.select(job.c.uid, job.c.spec, job.c.executor, job.c.queue).where(job.c.id == job_id)
        ).one()
        try:
            spec, plans, executor = readable(row, lambda row: self._to_train(row, cohort_id))
        except UnreadableRow as error:
            self._end_unread(cohort_id, job_id, error)
            return None
        revision = self.jobs.bump(
            job_id, state=JobState.RUNNING, started_at=sa.func.coalesce(job.c.started_at, now())
        )
        with self.tallies.follow(job_id, [cohort_id]):
            self.connection.execute(
                trial.update()
                .where(trial.c.cohort_id == cohort_id)
                .values(state=TrialState.RUNNING, revision=revision, started_at=now())
            )
        limit_s = spec.budget.limit_s if plans[0].phase is Phase.SEARCH else None
        return Claim(
            cohort_id=cohort_id,
            job_id=job_id,
            owner=owner,
            attempt=claimed.attempt,
            spec=spec,
            executor=executor,
            queue=row.queue,
            plans=plans,
            checkpoint=claimed.checkpoint,
            seconds_left=None if limit_s is None else limit_s - self.jobs.running_s(job_id),
        )

    def _to_train(self, row: Any, cohort_id: int) -> tuple[ResolvedSpec, list[TrialPlan], str]:
        """Return what a worker trains, and by which executor."""
        spec, plans = read_spec(row), Trials(self.connection).plans(cohort_id)
        return spec, plans, spec.executor_of(plans[0].label)

    def _end_unread(self, cohort_id: int, job_id: int, error: UnreadableRow) -> None:
        self.connection.execute(
            cohort.update()
            .where(cohort.c.id == cohort_id)
            .values(state=CohortState.CANCELLED, finished_at=now(), owner=None, lease_until=None)
        )
        self.stamp(cohort_id, job_id, TrialState.FAILED)
        self.jobs.fail(job_id, code=error.code, detail=error.detail)

    def beat(
        self,
        claim: Claim,
        *,
        lease_s: float,
        examples: int,
        curves: Mapping[int, Sequence[Point]],
        checkpoint: str | None = None,
        kept_examples: int = 0,
    ) -> Beat:
        """Renews the lease and writes the progress; what the worker is to do.

        `kept_examples` are those seen in the state that was kept as `checkpoint`. If no attempt has come as
        far before, attempts are counted anew: a cohort that gets on may lose any number of workers.
        """
        self.jobs.lock(claim.job_id)
        values: dict[str, Any] = {
            "lease_until": after(lease_s),
            "examples": examples,
            "progress": {str(position): list(curve) for position, curve in curves.items()},
        }
        if checkpoint is not None:
            further = cohort.c.kept_examples < kept_examples
            values |= {
                "checkpoint": checkpoint,
                "kept_examples": sa.case((further, kept_examples), else_=cohort.c.kept_examples),
                "attempt": sa.case((further, 1), else_=cohort.c.attempt),
            }
        held = self.connection.execute(
            cohort.update().where(*self._fence(claim)).values(values).returning(cohort.c.worker)
        ).one_or_none()
        if held is None:
            return Beat.LOST
        self.jobs.bump(claim.job_id, rung_at=now())
        row = self.connection.execute(
            sa.select(job.c.state, job.c.cancel_requested, job.c.concluded_seeds).where(
                job.c.id == claim.job_id
            )
        ).one()
        if row.cancel_requested or row.concluded_seeds is not None or row.state not in ACTIVE:
            return Beat.CANCEL
        stopping = self.connection.scalar(sa.select(worker.c.stopping).where(worker.c.name == held.worker))
        return Beat.GIVE_BACK if stopping else Beat.GO_ON

    def finish(
        self, claim: Claim, results: Sequence[TrialResult | None], environment: Environment | None = None
    ) -> bool:
        """Keeps the results, all or none, and what they were computed with; False if the cohort is not
        ours any more.

        A trial without a result, or a cancelled one, says that the time for the search is over: what still
        waits of it ends, too.
        """
        made = None if environment is None else environment.model_dump(mode="json")
        if not self._end(claim, state=CohortState.DONE, progress=None, environment=made):
            return False
        # Who ends a round's last cohort plans the next: the reaper need not ring for that at once.
        revision = self.jobs.bump(claim.job_id, rung_at=now())
        rows = [
            {
                "at": position,
                "state": result.state,
                "result": result.with_examples(None),
                "value": result.value,
                "steps": result.steps,
                "examples": result.examples,
                "seconds": result.seconds,
            }
            for position, result in enumerate(results)
            if result is not None
        ]
        if rows:
            with self.tallies.follow(claim.job_id, [claim.cohort_id]):
                self.connection.execute(
                    trial.update()
                    .where(trial.c.cohort_id == claim.cohort_id, trial.c.position == sa.bindparam("at"))
                    .values(revision=revision, finished_at=now()),
                    rows,
                )
            ExampleValues(self.connection).keep(claim.cohort_id, results)
        if any(result is None or result.state is TrialState.CANCELLED for result in results):
            self.stamp(claim.cohort_id, claim.job_id, TrialState.CANCELLED)
            self.jobs.drop_queued(claim.job_id)
        # A cancel that came while the last cohort ended has nobody else to carry it out.
        self.jobs.end_if_cancelled(claim.job_id)
        return True

    def drop(self, claim: Claim) -> bool:
        """Ends a cohort whose job does without it; nothing of it is kept."""
        if not self._end(claim, state=CohortState.CANCELLED):
            return False
        self.stamp(claim.cohort_id, claim.job_id, TrialState.CANCELLED)
        self.jobs.end_if_cancelled(claim.job_id)
        return True

    def give_back(self, claim: Claim) -> bool:
        """Queues a cohort again that its worker cannot finish, without counting the attempt.

        If the job has ended meanwhile, so does the cohort.
        """
        self.jobs.lock(claim.job_id)
        if not self.jobs.goes_on(claim.job_id):
            return self.drop(claim)
        given = self.connection.execute(
            cohort.update()
            .where(*self._fence(claim))
            .values(state=CohortState.QUEUED, owner=None, lease_until=None, attempt=ATTEMPT_BACK)
        )
        if given.rowcount:
            self.stamp(claim.cohort_id, claim.job_id, TrialState.QUEUED)
        return bool(given.rowcount)

    def fail(self, claim: Claim, *, code: str, detail: str) -> bool:
        """Ends the cohort and its job: training raised, which no other attempt would mend.

        A job whose confirm was ended by request does without it.
        """
        self.jobs.lock(claim.job_id)
        seeds = sa.select(job.c.concluded_seeds).where(job.c.id == claim.job_id)
        if self.connection.scalar(seeds) is not None:
            return self.drop(claim)
        if not self._end(claim, state=CohortState.CANCELLED):
            return False
        self.stamp(claim.cohort_id, claim.job_id, TrialState.FAILED)
        self.jobs.fail(claim.job_id, code=code, detail=detail)
        return True

    # -- the reaper ----------------------------------------------------------------------------------

    def queued(self, queue: str, *, functions: bool | None = None) -> int:
        """Return the number of cohorts that wait in a queue.

        `functions` asks for those of people's own functions, or for the others; None for all.
        """
        query = sa.select(sa.func.count()).where(
            cohort.c.state == CohortState.QUEUED, cohort.c.queue == queue, _is_of_function(functions)
        )
        return self.connection.execute(query).scalar_one()

    def needs_of(self, cohort_id: int) -> tuple[str, ...]:
        """Return the function and the plug-ins that the cohort's job needs, by name."""
        query = sa.select(job.c.spec).join(cohort, cohort.c.job_id == job.c.id)
        return needs_of(self.connection.scalar(query.where(cohort.c.id == cohort_id)))

    def queued_of(self, job_id: int) -> list[int]:
        """Return the cohorts of a job that wait, in their order."""
        waiting = sa.select(cohort.c.id).where(
            cohort.c.job_id == job_id, cohort.c.state == CohortState.QUEUED
        )
        return list(self.connection.scalars(waiting.order_by(cohort.c.id)))

    def unanswered(
        self, queue: str, not_rung_for_s: float, *, functions: bool | None = None, limit: int = 64
    ) -> list[int]:
        """Cohorts of a queue not rung for of late, the longest unrung first; notes that they are now.

        `functions` asks for those of people's own functions, or for the others; None for all.
        """
        longest = (
            sa.select(cohort.c.id)
            .where(
                cohort.c.state == CohortState.QUEUED,
                cohort.c.queue == queue,
                _is_of_function(functions),
                sa.or_(cohort.c.rung_at.is_(None), stale(cohort.c.rung_at, not_rung_for_s)),
            )
            .order_by(cohort.c.rung_at.asc().nulls_first(), cohort.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        # Read first, then written: PostgreSQL may run a locking sub-select with a limit more than once.
        ids = sorted(self.connection.scalars(longest))
        self.connection.execute(cohort.update().where(cohort.c.id.in_(ids)).values(rung_at=now()))
        return ids

    # ------------------------------------------------------------------------------------------------

    def _fence(self, claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            cohort.c.id == claim.cohort_id,
            cohort.c.owner == claim.owner,
            cohort.c.state == CohortState.RUNNING,
        )

    def _end(self, claim: Claim, **values: Any) -> bool:
        """Ends the cohort, if the claim still holds it."""
        self.jobs.lock(claim.job_id)
        ended = self.connection.execute(
            cohort.update()
            .where(*self._fence(claim))
            .values(finished_at=now(), owner=None, lease_until=None, **values)
        )
        return bool(ended.rowcount)

    def stamp(self, cohort_id: int, job_id: int, state: TrialState) -> None:
        revision = self.jobs.bump(job_id)
        with self.tallies.follow(job_id, [cohort_id]):
            self.connection.execute(
                trial.update()
                .where(trial.c.cohort_id == cohort_id, trial.c.result.is_(sa.null()))
                .values(state=state, revision=revision)
            )


def _is_of_function(functions: bool | None) -> sa.ColumnElement[bool]:
    """Return the condition that a cohort's job is about a person's own function, or that it is not.

    None is for either.
    """
    if functions is None:
        return sa.true()
    about = sa.exists().where(job.c.id == cohort.c.job_id, job.c.function.is_not(None))
    return about if functions else sa.not_(about)
