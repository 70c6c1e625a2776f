"""Plans and results, read back from the rows of their trials by those who train and plan."""

from __future__ import annotations

import gc
from typing import Any

import sqlalchemy as sa

from whichopt.service.db.tables import cohort, trial
from whichopt.service.guests import Start
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult

PLAN = sa.cast(trial.c.plan, sa.Text)
"""The column as text: the model reads it faster than driver and model in turn."""


class Trials:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def plans(self, cohort_id: int) -> list[TrialPlan]:
        """The cohort's plans by position."""
        query = sa.select(PLAN).where(trial.c.cohort_id == cohort_id).order_by(trial.c.position)
        return [TrialPlan.model_validate_json(plan) for plan in self.connection.scalars(query)]

    def of_job(
        self,
        job_id: int,
        *,
        curve: str | None,
        through_round: int | None = None,
        phase: Phase | None = None,
    ) -> list[Trial]:
        """The job's trials in the order in which they were planned, with that one curve, or without any.

        With `through_round`, only those of the rounds up to it; with `phase`, only those of it.

        Each round reads all of them: what is not needed stays in the database, and what was checked when it
        was written is not checked again.
        """
        result = trial.c.result
        query = (
            sa.select(
                PLAN.label("plan"),
                trial.c.state,
                trial.c.value,
                result["metrics"].label("metrics"),
                (sa.null() if curve is None else result["curves", curve]).label("curve"),
                result["reference"].label("reference"),
                result["start"].label("start"),
                trial.c.steps,
                trial.c.examples,
                trial.c.seconds,
            )
            .where(trial.c.job_id == job_id)
            .order_by(trial.c.id)
        )
        if through_round is not None:
            rounds = sa.select(cohort.c.id).where(cohort.c.job_id == job_id, cohort.c.round <= through_round)
            query = query.where(trial.c.cohort_id.in_(rounds))
        if phase is not None:
            query = query.where(trial.c.phase == phase)
        rows = self.connection.execute(query)
        collects = gc.isenabled()
        gc.disable()  # all that is made here stays: collections in between would double the time
        try:
            return [_trial(row, curve) for row in rows]
        finally:
            if collects:
                gc.enable()


def _trial(row: sa.Row[Any], curve: str | None) -> Trial:
    """A trial from its row, which has metrics if it has a result; `curve` is the name of its curve."""
    state: Any = TrialState(row.state)
    result = None
    if row.metrics is not None:
        result = TrialResult.model_construct(
            state=state,
            value=row.value,
            metrics=row.metrics,
            curves={}
            if curve is None or row.curve is None
            else {curve: [Point._make(point) for point in row.curve]},
            reference=row.reference,
            start=None if row.start is None else Start.model_validate(row.start),
            steps=row.steps,
            examples=row.examples,
            seconds=row.seconds,
        )
    return Trial(plan=TrialPlan.model_validate_json(row.plan), state=state, result=result)
