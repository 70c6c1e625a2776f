"""Reads the answers from the rows: trials and recommendations, and of its base also jobs. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa

from whichopt.service.configs import Packed, arguments
from whichopt.service.db.job_views import JobViews
from whichopt.service.db.paging import page_of
from whichopt.service.db.readable import readable, recommendation_of
from whichopt.service.db.tables import cohort, job, trial
from whichopt.service.db.trials import PLAN
from whichopt.service.spec.upgrade import goal_of, packed_of
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.trials import Point, TrialPlan
from whichopt.service.views import Page, Recommendation, TrialView

Row = sa.Row[Any]


class ViewReader(JobViews):
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
        return page_of(
            self.connection, query, limit, lambda _: partial(_trial_view, packed=packed, curves=curves)
        )

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
        return page_of(self.connection, query, limit, lambda _: recommendation_of)


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
