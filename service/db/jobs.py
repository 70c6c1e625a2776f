"""The jobs: added by a door, planned round by round, concluded, cancelled, failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whichopt.service.db import clock
from whichopt.service.db.job_times import JobTimes
from whichopt.service.db.queues import here
from whichopt.service.db.readable import spec_of
from whichopt.service.db.tables import cohort, job, report, study, trial
from whichopt.service.db.tallies import Tallies
from whichopt.service.db.trials import Trials
from whichopt.service.db.words import keep_words
from whichopt.service.db.workers import Workers
from whichopt.service.ids import new_uid
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Agreement, CohortState, JobState, Phase, TrialState
from whichopt.service.trials import Trial, TrialPlan
from whichopt.service.views import Recommendation
from whichopt.service.views.verdict import Summary, odds_of

ACTIVE = (JobState.QUEUED, JobState.RUNNING)
UNFINISHED = (CohortState.QUEUED, CohortState.RUNNING)


@dataclass(frozen=True)
class Planning:
    """The input of a planner: a job whose last round has ended, with all its results.

    Of a result's curves only the selection metric's is there, as nothing else is planned or concluded from.
    `workers` are the processes that were live for the job's queue, and `agreement` is how far results agree
    on them, None if there are none. `running_s` is the time since the job's first claim, 0 before one;
    `elapsed_s` is that from it to the last of the results. `concluded_seeds` are the fresh seeds that
    count, if confirm was ended by request.
    """

    job_id: int
    uid: str
    spec: ResolvedSpec
    queue: str
    round: int
    cut_short: bool
    running_s: float
    elapsed_s: float | None
    workers: int
    agreement: Agreement | None
    trials: list[Trial]
    concluded_seeds: int | None = None


class Jobs(JobTimes):
    # -- doors ---------------------------------------------------------------------------------------

    def add(
        self,
        spec: ResolvedSpec,
        *,
        queue: str | None,
        api_key_id: int | None = None,
        idempotency_key: str | None = None,
        body_digest: str | None = None,
    ) -> tuple[int, str]:
        """Remembers a new job and its studies; its (id, uid).

        Without a queue it is trained in the process that makes it, and by no worker.
        """
        now = clock.now()
        uid = new_uid()
        row = {
            "uid": uid,
            "name": spec.name,
            "state": JobState.QUEUED,
            "spec": spec.model_dump(mode="json"),
            "task": spec.workload.task,
            "dataset": spec.workload.dataset_name,
            "model": spec.workload.model_name,
            "function": spec.workload.function_name,
            "metric": spec.goal.metric,
            "direction": spec.goal.direction.value,
            "content": spec.workload.content,
            "queue": here(uid) if queue is None else queue,
            "round": 0,
            "cut_short": False,
            "cancel_requested": False,
            "revision": 1,
            "api_key_id": api_key_id,
            "idempotency_key": idempotency_key,
            "body_digest": body_digest,
            "created_at": now,
            "rung_at": now,
            "plan_rings": 0,
        }
        job_id = self.connection.execute(job.insert().values(row).returning(job.c.id)).scalar_one()
        studies = [
            {"job_id": job_id, "label": chosen.label, "optimizer": chosen.name, "replicate": replicate}
            for chosen in spec.optimizers
            for replicate in range(spec.budget.replicates)
        ]
        self.connection.execute(study.insert(), studies)
        keep_words(self.connection, job_id, spec)
        return job_id, uid

    def by_idempotency(self, api_key_id: int | None, idempotency_key: str) -> tuple[str, str] | None:
        """(uid, body digest) of the job that this key's holder made with that idempotency key."""
        row = self.connection.execute(
            sa.select(job.c.uid, job.c.body_digest).where(
                job.c.api_key_id == api_key_id, job.c.idempotency_key == idempotency_key
            )
        ).one_or_none()
        return None if row is None else (row.uid, row.body_digest)

    def last_about(self, function: str) -> str | None:
        """Return the uid of the last job about the function of that name; None if there was none."""
        about = sa.select(job.c.uid).where(job.c.function == function)
        return self.connection.scalar(about.order_by(job.c.id.desc()).limit(1))

    def id_of(self, uid: str) -> int | None:
        return self.connection.scalar(sa.select(job.c.id).where(job.c.uid == uid))

    def uid_of(self, job_id: int) -> str | None:
        return self.connection.scalar(sa.select(job.c.uid).where(job.c.id == job_id))

    def revision(self, uid: str) -> tuple[int, JobState] | None:
        """(revision, state): all that an event stream asks for while nothing changes."""
        row = self.connection.execute(sa.select(job.c.revision, job.c.state).where(job.c.uid == uid)).first()
        return None if row is None else (row.revision, JobState(row.state))

    def cancel(self, job_id: int) -> JobState | None:
        """Asks for cancel: queued cohorts end now, running ones at their next tick.

        Returns None if that is so, and the job's state if it has ended already.
        """
        self.lock(job_id)
        state = JobState(self.connection.scalars(sa.select(job.c.state).where(job.c.id == job_id)).one())
        if state.ended:
            return state
        self._set(job_id, cancel_requested=True)
        self.drop_queued(job_id)
        self.end_if_cancelled(job_id)
        return None

    # -- planners ------------------------------------------------------------------------------------

    def planning(self, job_id: int, *, alive_s: float = 0.0) -> Planning | None:
        """The job with all its trials, if it is active and its last round has ended.

        `alive_s` is how recently a worker must have been seen to count.

        Raises:
            UnreadableRow: its spec cannot be read.
        """
        row = self.connection.execute(
            sa.select(job).where(
                job.c.id == job_id, job.c.state.in_(ACTIVE), job.c.cancel_requested.is_(False)
            )
        ).one_or_none()
        if row is None or self._unfinished(job_id):
            return None
        spec = spec_of(row)
        return Planning(
            job_id=job_id,
            uid=row.uid,
            spec=spec,
            queue=row.queue,
            round=row.round,
            cut_short=row.cut_short,
            running_s=self.running_s(job_id),
            elapsed_s=self.elapsed_s(job_id),
            workers=Workers(self.connection).processes(row.queue, within_s=alive_s),
            agreement=Workers(self.connection).agreement(row.queue, within_s=alive_s),
            trials=Trials(self.connection).of_job(job_id, curve=spec.goal.curve),
            concluded_seeds=row.concluded_seeds,
        )

    def planner_begins(self, planned: Planning, *, counts: int = 1) -> None:
        """Count a planner of that round, or excuse it (-1); the reaper need not ring for another at once."""
        self.connection.execute(
            job.update()
            .where(job.c.id == planned.job_id, job.c.round == planned.round)
            .values(plan_rings=job.c.plan_rings + counts, rung_at=clock.now())
        )

    def add_round(
        self,
        planned: Planning,
        cohorts: Sequence[Sequence[TrialPlan]],
        *,
        spec: ResolvedSpec,
        cut_short: bool,
        probe: Mapping[str, float] | None = None,
    ) -> list[int] | None:
        """Write the next round; return its cohorts' ids, or None if another planner was first.

        Args:
            spec: the job's, with all that was decided before its first round.
            probe: what the executors were chosen by, if they were chosen for this round.

        Raises:
            ValueError: a label would change its executor, or a cohort have two.
        """
        if planned.round and spec.executors != planned.spec.executors:
            raise ValueError("a label keeps the executor that its first trials were planned for")
        if any(len({spec.executor_of(plan.label) for plan in plans}) > 1 for plans in cohorts):
            raise ValueError("a cohort is trained by one executor, and its labels have two")
        job_id = planned.job_id
        phase = cohorts[0][0].phase
        decided: dict[str, Any] = {"probe": dict(probe)} if probe else {}
        if spec is not planned.spec:
            decided["spec"] = spec.model_dump(mode="json")
        revision = self._advance(planned, **decided, cut_short=cut_short, phase=phase)
        if revision is None:
            return None
        studies = {
            (row.label, row.replicate): row.id
            for row in self.connection.execute(sa.select(study).where(study.c.job_id == job_id))
        }
        row = {
            "job_id": job_id,
            "round": planned.round,
            "phase": phase,
            "queue": planned.queue,
            "state": CohortState.QUEUED,
            "attempt": 0,
            "examples": 0,
        }
        self.connection.execute(
            cohort.insert().values(rung_at=clock.now()), [{**row, "position": i} for i in range(len(cohorts))]
        )
        made = sa.select(cohort.c.id).where(cohort.c.job_id == job_id, cohort.c.round == planned.round)
        ids = list(self.connection.scalars(made.order_by(cohort.c.position)))
        rows = [
            {
                "uid": new_uid(),
                "job_id": job_id,
                "cohort_id": cohort_id,
                "position": i,
                "study_id": (
                    studies[plan.label, plan.replicate]
                    if phase is Phase.SEARCH and plan.replicate is not None
                    else None
                ),
                "label": plan.label,
                "phase": phase,
                "number": plan.number,
                "state": TrialState.QUEUED,
                "plan": plan,
                "steps": 0,
                "examples": 0,
                "seconds": 0.0,
                "revision": revision,
            }
            for cohort_id, plans in zip(ids, cohorts, strict=True)
            for i, plan in enumerate(plans)
        ]
        with Tallies(self.connection).follow(job_id, ids):
            self.connection.execute(trial.insert(), rows)
        return ids

    def conclude(self, planned: Planning, recommendation: Recommendation, *, cut_short: bool = False) -> bool:
        """Writes the conclusion, and that its report is to be made; False if another planner was first."""
        recommended = recommendation.optimizer and planned.spec.optimizer(recommendation.optimizer).name
        revision = self._advance(
            planned,
            state=JobState.SUCCEEDED,
            cut_short=planned.cut_short or cut_short,
            recommendation=recommendation.model_dump(mode="json"),
            recommended=recommended,
            verdict=recommendation.verdict,
            odds=odds_of(recommendation),
            summary=Summary.of(recommendation).model_dump(mode="json"),
            finished_at=clock.now(),
        )
        if revision is None:
            return False
        owed = {"job_id": planned.job_id, "revision": revision, "attempts": 0, "rung_at": clock.now()}
        self.connection.execute(report.insert().values(owed))
        return True

    def compiling(self, planned: Planning) -> None:
        """Notes that a planner compiles kernels for the round that comes next, until the round moves."""
        self.connection.execute(
            job.update()
            .where(job.c.id == planned.job_id, job.c.round == planned.round)
            .values(compiling_since=clock.now(), revision=job.c.revision + 1)
        )

    def _advance(self, planned: Planning, **values: Any) -> int | None:
        """Moves the job past round `planned.round`, if nobody has or has ended it; its new revision."""
        return self.connection.execute(
            job.update()
            .where(
                job.c.id == planned.job_id,
                job.c.round == planned.round,
                job.c.state.in_(ACTIVE),
                job.c.cancel_requested.is_(False),
                job.c.concluded_seeds.is_not_distinct_from(planned.concluded_seeds),
            )
            .values(
                round=planned.round + 1,
                revision=job.c.revision + 1,
                plan_rings=0,
                rung_at=clock.now(),
                compiling_since=None,
                **values,
            )
            .returning(job.c.revision)
        ).scalar_one_or_none()

    # -- all writers ---------------------------------------------------------------------------------

    def lock(self, job_id: int) -> None:
        """Makes other writers of this job wait for this transaction (on SQLite, all writers do)."""
        self.connection.execute(sa.select(job.c.id).where(job.c.id == job_id).with_for_update())

    def goes_on(self, job_id: int) -> bool:
        """Tell if the job trains on: it is active, and nobody has requested its cancellation or its end."""
        query = sa.select(job.c.id).where(
            job.c.id == job_id,
            job.c.state.in_(ACTIVE),
            job.c.cancel_requested.is_(False),
            job.c.concluded_seeds.is_(None),
        )
        return self.connection.scalar(query) is not None

    def fail(self, job_id: int, *, code: str, detail: str, round_: int | None = None) -> None:
        """Ends the job as our fault, with its cause. Running cohorts hear of it at their next tick.

        With `round_`, only if the job still stands at that round: a planner that failed speaks for no
        other planner.
        """
        self.lock(job_id)
        error = {"code": code, "detail": detail}
        still = sa.true() if round_ is None else job.c.round == round_
        failed = self.connection.execute(
            job.update()
            .where(job.c.id == job_id, job.c.state.in_(ACTIVE), still)
            .values(
                state=JobState.FAILED,
                error=error,
                finished_at=clock.now(),
                revision=job.c.revision + 1,
            )
        )
        if failed.rowcount:
            self.drop_queued(job_id)

    def end_if_cancelled(self, job_id: int) -> None:
        """Ends a job that was asked to be cancelled, once nobody works on it."""
        if not self._unfinished(job_id):
            self.connection.execute(
                job.update()
                .where(job.c.id == job_id, job.c.state.in_(ACTIVE), job.c.cancel_requested.is_(True))
                .values(state=JobState.CANCELLED, finished_at=clock.now(), revision=job.c.revision + 1)
            )

    def drop_queued(self, job_id: int) -> None:
        """Ends the cohorts of this job that nobody has claimed, and their trials."""
        revision = self._set(job_id)
        waiting = sa.select(cohort.c.id).where(
            cohort.c.job_id == job_id, cohort.c.state == CohortState.QUEUED
        )
        queued = list(self.connection.scalars(waiting))
        with Tallies(self.connection).follow(job_id, queued):
            self.connection.execute(
                trial.update()
                .where(trial.c.cohort_id.in_(queued), trial.c.result.is_(sa.null()))
                .values(state=TrialState.CANCELLED, revision=revision)
            )
        self.connection.execute(
            cohort.update()
            .where(cohort.c.job_id == job_id, cohort.c.state == CohortState.QUEUED)
            .values(state=CohortState.CANCELLED, finished_at=clock.now())
        )

    def bump(self, job_id: int, **values: Any) -> int:
        """Moves the job's revision, which stamps what else this transaction changes."""
        return self._set(job_id, **values)

    def _set(self, job_id: int, **values: Any) -> int:
        moved = self.connection.execute(
            job.update()
            .where(job.c.id == job_id)
            .values(revision=job.c.revision + 1, **values)
            .returning(job.c.revision)
        )
        return int(moved.scalar_one())

    def _unfinished(self, job_id: int) -> bool:
        query = sa.select(cohort.c.id).where(cohort.c.job_id == job_id, cohort.c.state.in_(UNFINISHED))
        return self.connection.scalar(query.limit(1)) is not None
