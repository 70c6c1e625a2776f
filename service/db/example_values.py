"""The metric on single test examples, kept apart from the trials' rows, which every view and plan reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import sqlalchemy as sa

from whichopt.service.by_example import packed, unpacked
from whichopt.service.db.tables import example_values, trial
from whichopt.service.trials import Trial, TrialResult

TrialT = TypeVar("TrialT", bound=Trial)


class ExampleValues:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def keep(self, cohort_id: int, results: Sequence[TrialResult | None]) -> None:
        """Keep those of a cohort's results, in the transaction that keeps the results themselves."""
        values = {at: one.by_example for at, one in enumerate(results) if one is not None and one.by_example}
        if not values:
            return
        query = sa.select(trial.c.id, trial.c.position).where(trial.c.cohort_id == cohort_id)
        rows = [
            {"trial_id": row.id, "content": unpacked(values[row.position])}
            for row in self.connection.execute(query)
            if row.position in values
        ]
        self.connection.execute(example_values.insert(), rows)

    def of_job(self, job_id: int) -> list[str | None]:
        """Return those of each trial of the job, in the order of planning; None if a trial has none."""
        query = (
            sa.select(example_values.c.content)
            .join_from(trial, example_values, isouter=True)
            .where(trial.c.job_id == job_id)
            .order_by(trial.c.id)
        )
        return [None if content is None else packed(content) for content in self.connection.scalars(query)]

    def given_to(self, job_id: int, trials: Sequence[TrialT]) -> list[TrialT]:
        """Return the trials of the job, in the order of planning, with their values by example."""
        return [
            one
            if values is None or one.result is None
            else one.model_copy(update={"result": one.result.with_examples(values)})
            for one, values in zip(trials, self.of_job(job_id), strict=True)
        ]
