"""What the finalists of a job have made on the first fresh seed, read apart from all else of their trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from whichopt.service.configs import arguments
from whichopt.service.db.readable import readable
from whichopt.service.db.tables import job, trial
from whichopt.service.db.trials import PLAN
from whichopt.service.samples import Maker
from whichopt.service.spec.upgrade import packed_of
from whichopt.service.states import Phase
from whichopt.service.trials import Sample, TrialPlan
from whichopt.service.views import SampleView

FIRST = 0
"""Number of the fresh seed on which samples are kept."""

KIND = trial.c.result["sample", "kind"].as_string()
SAMPLE = trial.c.result["sample"]


class Samples:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def makers(self, job_id: int) -> list[Maker]:
        """Return the finalists that have made something, in the order in which they were planned."""
        rows = self.connection.execute(_of_job(job_id, trial.c.uid, PLAN.label("plan"), KIND.label("kind")))
        return [_maker(row) for row in rows if row.kind is not None]

    def of(self, job_id: int, trials: Sequence[str]) -> dict[str, Sample]:
        """Return the samples of the job's trials with these ids, by id; of those that have one."""
        query = _of_job(job_id, trial.c.uid, SAMPLE.label("sample")).where(trial.c.uid.in_(trials))
        rows = self.connection.execute(query)
        return {row.uid: Sample.model_validate(row.sample) for row in rows if row.sample is not None}

    def views(self, job_id: int) -> list[SampleView]:
        """Return all samples of a job in the order in which its finalists were planned."""
        query = _of_job(job_id, trial.c.uid, PLAN.label("plan"), SAMPLE.label("sample"))
        rows = [row for row in self.connection.execute(query) if row.sample is not None]
        if not rows:
            return []
        owner = self.connection.execute(sa.select(job.c.uid, job.c.spec).where(job.c.id == job_id)).one()
        packed = readable(owner, lambda row: packed_of(row.spec))
        return [_view(row, packed) for row in rows]


def _of_job(job_id: int, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(*columns)
        .where(trial.c.job_id == job_id, trial.c.phase == Phase.CONFIRM, trial.c.number == FIRST)
        .order_by(trial.c.id)
    )


def _maker(row: sa.Row[Any]) -> Maker:
    plan = TrialPlan.model_validate_json(row.plan)
    return Maker(row.uid, plan.label, plan.replicate, row.kind)


def _view(row: sa.Row[Any], packed: Any) -> SampleView:
    plan = TrialPlan.model_validate_json(row.plan)
    return SampleView(
        trial=row.uid,
        optimizer=plan.label,
        origin=plan.origin,
        replicate=plan.replicate,
        config=arguments(plan.config, packed[plan.label]),
        sample=Sample.model_validate(row.sample),
    )
