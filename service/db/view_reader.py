"""Reads the answers from the rows: jobs, trials, recommendations. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from whichopt.service.activity import JobActivity
from whichopt.service.configs import Packed, arguments
from whichopt.service.db.activity import Activities
from whichopt.service.db.jobs import UNFINISHED
from whichopt.service.db.readable import read_spec, readable, recommendation_of
from whichopt.service.db.tables import cohort, job, trial
from whichopt.service.db.trials import PLAN
from whichopt.service.errors import UnreadableRow
from whichopt.service.planning.looks import planned_looks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.upgrade import goal_of, packed_of
from whichopt.service.states import CohortState, Direction, JobState, Phase, TrialState
from whichopt.service.trials import Point, TrialPlan
from whichopt.service.views import (
    ConfirmProgress,
    JobError,
    JobView,
    LedgerEntry,
    Page,
    Progress,
    Recommendation,
    TrialView,
    Unreadable,
)

Row = sa.Row[Any]
_DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED)


class ViewReader:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    # -- jobs ----------------------------------------------------------------------------------------

    def job(self, uid: str, *, alive_s: float) -> JobView | None:
        """The job as we show it; `alive_s` is how recently a worker must have been seen to count."""
        rows = self.connection.execute(sa.select(job).where(job.c.uid == uid)).all()
        return readable(rows[0], self._reader(rows, alive_s)) if rows else None

    def activity(self, uid: str, *, alive_s: float) -> JobActivity | None:
        """Return what the job does or waits for; None if it has ended or does not exist."""
        return Activities(self.connection, alive_s=alive_s).of_job(uid)

    def jobs(
        self,
        *,
        state: JobState | None,
        dataset: str | None = None,
        uid_part: str | None = None,
        before: int | None,
        limit: int,
        alive_s: float,
    ) -> Page[JobView]:
        """Jobs, newest first, from the one before id `before` on; their uids begin or end with `uid_part`."""
        query = sa.select(job).order_by(job.c.id.desc()).limit(limit + 1)
        if state is not None:
            query = query.where(job.c.state == state)
        if dataset is not None:
            query = query.where(job.c.dataset == dataset)
        if uid_part is not None:
            query = query.where(
                sa.or_(
                    job.c.uid.startswith(uid_part, autoescape=True),
                    job.c.uid.endswith(uid_part, autoescape=True),
                )
            )
        if before is not None:
            query = query.where(job.c.id < before)
        return self._page(query, limit, lambda rows: self._reader(rows, alive_s))

    def _reader(self, rows: Sequence[Row], alive_s: float) -> Callable[[Row], JobView]:
        """Return what makes the view of one of the rows, with all read that they need besides."""
        ids = [row.id for row in rows]
        ledgers = self._ledgers(ids)
        running = self._running(ids)
        fresh = self._fresh_seeds([row.id for row in rows if row.phase == Phase.CONFIRM])
        activities = Activities(self.connection, alive_s=alive_s).of(rows)
        return lambda row: _job_view(
            row, ledgers[row.id], running.get(row.id, (0, 0)), fresh[row.id], activities.get(row.id)
        )

    def _ledgers(self, job_ids: Sequence[int]) -> dict[int, dict[str, Row]]:
        """Per job and label: counts by state, and what was used."""
        state, value = trial.c.state, trial.c.value
        searched = sa.case((trial.c.phase == Phase.SEARCH, value))
        query = (
            sa.select(
                trial.c.job_id,
                trial.c.label,
                sa.func.count().label("total"),
                sa.func.count(sa.case((state.in_(_DONE), 1))).label("done"),
                sa.func.count(sa.case((state == TrialState.CANCELLED, 1))).label("cancelled"),
                sa.func.count(sa.case((state == TrialState.PRUNED, 1))).label("pruned"),
                sa.func.count(sa.case((state == TrialState.DIVERGED, 1))).label("diverged"),
                sa.func.sum(trial.c.steps).label("steps"),
                sa.func.sum(trial.c.examples).label("examples"),
                sa.func.sum(trial.c.seconds).label("seconds"),
                sa.func.min(searched).label("least"),
                sa.func.max(searched).label("most"),
            )
            .where(trial.c.job_id.in_(job_ids))
            .group_by(trial.c.job_id, trial.c.label)
        )
        ledgers: dict[int, dict[str, Row]] = defaultdict(dict)
        for row in self.connection.execute(query):
            ledgers[row.job_id][row.label] = row
        return ledgers

    def _fresh_seeds(self, job_ids: Sequence[int]) -> dict[int, dict[int, _Seed]]:
        """Per job: confirm's fresh seeds by number."""
        query = (
            sa.select(
                trial.c.job_id,
                trial.c.number,
                sa.func.count(),
                sa.func.count() == sa.func.count(sa.case((trial.c.state.in_(_DONE), 1))),
            )
            .where(trial.c.job_id.in_(job_ids), trial.c.phase == Phase.CONFIRM)
            .group_by(trial.c.job_id, trial.c.number)
        )
        fresh: dict[int, dict[int, _Seed]] = defaultdict(dict)
        for job_id, number, runs, done in self.connection.execute(query):
            fresh[job_id][number] = _Seed(runs, bool(done))
        return fresh

    def _running(self, job_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Per job: cohorts that run, and the examples that they have seen."""
        query = (
            sa.select(cohort.c.job_id, sa.func.count(), sa.func.sum(cohort.c.examples))
            .where(cohort.c.job_id.in_(job_ids), cohort.c.state == CohortState.RUNNING)
            .group_by(cohort.c.job_id)
        )
        return {job_id: (count, examples) for job_id, count, examples in self.connection.execute(query)}

    # -- trials --------------------------------------------------------------------------------------

    def trials(
        self,
        job_id: int,
        *,
        optimizer: str | None = None,
        phase: Phase | None = None,
        state: TrialState | None = None,
        since_revision: int | None = None,
        after: int | None = None,
        limit: int,
        curves: bool = True,
    ) -> Page[TrialView]:
        """Return trials in the order in which they were planned; `optimizer` is the label.

        Without `curves` they stay in the database: most of a trial's row is curves.
        """
        query = sa.select(*_TRIAL).where(trial.c.job_id == job_id).order_by(trial.c.id).limit(limit + 1)
        row = self.connection.execute(sa.select(job.c.uid, job.c.spec).where(job.c.id == job_id)).one()
        packed = readable(row, lambda row: packed_of(row.spec))
        if curves:
            goal = readable(row, lambda row: goal_of(row.spec))
            curve = trial.c.result["curves", goal.curve].label("curve")
            query = query.add_columns(curve, cohort.c.progress, trial.c.position)
            query = query.join(cohort, cohort.c.id == trial.c.cohort_id)
        for column, wanted in ((trial.c.label, optimizer), (trial.c.phase, phase), (trial.c.state, state)):
            if wanted is not None:
                query = query.where(column == wanted)
        if since_revision is not None:
            query = query.where(trial.c.revision > since_revision)
        if after is not None:
            query = query.where(trial.c.id > after)
        return self._page(query, limit, lambda _: partial(_trial_view, packed=packed, curves=curves))

    # -- recommendations -----------------------------------------------------------------------------

    def recommendation(self, uid: str) -> tuple[JobState, Recommendation | None] | None:
        """The job's state, and its recommendation once there is one; None if there is no such job."""
        row = self.connection.execute(
            sa.select(job.c.uid, job.c.state, job.c.recommendation).where(job.c.uid == uid)
        ).one_or_none()
        if row is None:
            return None
        recommendation = None if row.recommendation is None else readable(row, recommendation_of)
        return JobState(row.state), recommendation

    def recommendations(
        self,
        *,
        task: str | None,
        dataset: str | None,
        model: str | None,
        function: str | None,
        metric: str | None,
        optimizer: str | None,
        before: int | None,
        limit: int,
    ) -> Page[Recommendation]:
        """Return recommendations, newest first; `optimizer` is a catalog name.

        Jobs that recommend nothing are not among them.
        """
        query = (
            sa.select(job.c.id, job.c.uid, job.c.name, job.c.recommendation)
            .where(job.c.state == JobState.SUCCEEDED, job.c.recommended.is_not(None))
            .order_by(job.c.id.desc())
            .limit(limit + 1)
        )
        filters = (
            (job.c.task, task),
            (job.c.dataset, dataset),
            (job.c.model, model),
            (job.c.function, function),
            (job.c.metric, metric),
            (job.c.recommended, optimizer),
        )
        for column, wanted in filters:
            if wanted is not None:
                query = query.where(column == wanted)
        if before is not None:
            query = query.where(job.c.id < before)
        return self._page(query, limit, lambda _: recommendation_of)

    # -- counts --------------------------------------------------------------------------------------

    def job_counts(self) -> dict[str, int]:
        """Jobs by state."""
        query = sa.select(job.c.state, sa.func.count().label("jobs")).group_by(job.c.state)
        return {row.state: row.jobs for row in self.connection.execute(query)}

    def cohort_counts(self) -> dict[tuple[str, str], int]:
        """Queued and running cohorts by (queue, state)."""
        query = (
            sa.select(cohort.c.queue, cohort.c.state, sa.func.count())
            .where(cohort.c.state.in_(UNFINISHED))
            .group_by(cohort.c.queue, cohort.c.state)
        )
        return {(queue, state): count for queue, state, count in self.connection.execute(query)}

    # ------------------------------------------------------------------------------------------------

    def _page(
        self, query: sa.Select[Any], limit: int, reader_of: Callable[[Sequence[Row]], Callable[[Row], Any]]
    ) -> Page[Any]:
        """Return the first `limit` rows of a query for one more, each as the reader makes it.

        A row that cannot be read is shown as such. The cursor is the last one's id.
        """
        rows = self.connection.execute(query).all()
        shown = rows[:limit]
        items, unreadable, reader = [], list[Unreadable](), reader_of(shown)
        for row in shown:
            try:
                items.append(readable(row, reader))
            except UnreadableRow as error:
                name = getattr(row, "name", None)
                unreadable.append(Unreadable(id=row.uid, name=name, problem=error.detail))
        cursor = str(shown[-1].id) if len(rows) > limit else None
        return Page(items=items, unreadable=unreadable, cursor=cursor)


class _Seed(NamedTuple):
    """A fresh seed: the runs that are planned with it, and if all of them have ended."""

    runs: int
    done: bool


def _job_view(
    row: Row,
    ledger: dict[str, Row],
    running: tuple[int, int],
    fresh: dict[int, _Seed],
    activity: JobActivity | None,
) -> JobView:
    spec = read_spec(row)
    direction = spec.goal.direction
    cohorts_running, examples_running = running
    searching = row.phase is None or row.phase == Phase.SEARCH
    # What time has stopped will not be run; of a job that was cancelled, the total tells what was left.
    end = row.concluded_seeds
    stopped = {label: found.cancelled if row.cut_short or end else 0 for label, found in ledger.items()}
    fresh = {number: seed for number, seed in fresh.items() if end is None or number < end}
    planned = {label: found.total - stopped[label] for label, found in ledger.items()}
    asked = {label: max(planned.get(label, 0), spec.trials_of(label)) for label in spec.labels}
    return JobView(
        id=row.uid,
        name=row.name,
        state=JobState(row.state),
        phase=None if row.phase is None else Phase(row.phase),
        spec=spec,
        queue=row.queue,
        executor=spec.trained_by,
        probe=row.probe,
        progress=Progress(
            trials_done=sum(entry.done for entry in ledger.values()),
            trials_total=sum((asked if searching else planned).values()),
            cohorts_running=cohorts_running,
            examples=examples_running + sum(entry.examples for entry in ledger.values()),
            confirm=_confirm_progress(spec, fresh) if fresh else None,
        ),
        ledger=[
            _ledger_entry(
                label, ledger.get(label), (asked if searching else planned).get(label, 0), direction
            )
            for label in spec.trained_labels
            if label in spec.labels or label in ledger  # today's config has no trials before confirm
        ],
        activity=activity,
        concluded_seeds=end,
        waiting_for=activity.detail if activity is not None and activity.what == "worker" else None,
        error=None if row.error is None else JobError.model_validate(row.error),
        revision=row.revision,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _confirm_progress(spec: ResolvedSpec, fresh: dict[int, _Seed]) -> ConfirmProgress:
    finalists = fresh[min(fresh)].runs - (spec.today is not None)  # each has the first seed, as today's has
    planned = planned_looks(spec, finalists)
    return ConfirmProgress(
        seeds_done=sum(seed.done for seed in fresh.values()),
        seeds_planned=len(fresh),
        seeds_most=planned[-1],
        looks=list(planned),
    )


def _ledger_entry(label: str, row: Row | None, asked: int, direction: Direction) -> LedgerEntry:
    if row is None:
        return LedgerEntry(
            optimizer=label,
            trials=0,
            trials_total=asked,
            pruned=0,
            diverged=0,
            steps=0,
            examples=0,
            seconds=0.0,
            best_value=None,
        )
    return LedgerEntry(
        optimizer=label,
        trials=row.done,
        trials_total=asked,
        pruned=row.pruned,
        diverged=row.diverged,
        steps=row.steps,
        examples=row.examples,
        seconds=row.seconds,
        best_value=row.least if direction is Direction.MINIMIZE else row.most,
    )


_TRIAL = (
    *(trial.c[name] for name in ("id", "uid", "state", "value", "steps", "examples", "seconds", "revision")),
    PLAN.label("plan"),
    trial.c.result["metrics"].label("metrics"),
)
"""Return the fields of a trial's view, except its curve. A trial has metrics once it has a result."""


def _trial_view(row: Row, *, packed: Mapping[str, Packed], curves: bool) -> TrialView:
    """Return the view of a trial; `packed` is the packing of each label's hyperparameters."""
    plan = TrialPlan.model_validate_json(row.plan)
    curve = None
    if curves:
        ended = row.metrics is not None
        known = row.curve if ended else (row.progress or {}).get(str(row.position))
        curve = [Point(*point) for point in known or []]
    return TrialView(
        id=row.uid,
        optimizer=plan.label,
        phase=plan.phase,
        origin=plan.origin,
        replicate=plan.replicate,
        number=plan.number,
        state=TrialState(row.state),
        config=arguments(plan.config, packed[plan.label]),
        value=row.value,
        metrics=row.metrics or {},
        curve=curve,
        steps=row.steps,
        examples=row.examples,
        seconds=row.seconds,
        revision=row.revision,
    )
