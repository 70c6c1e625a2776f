"""The studies of every job, as the Optuna dashboard and the export read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.db.tables import cohort, job, study, trial
from service.spec import ResolvedSpec
from service.states import TrialState
from service.trials import Point, TrialPlan, TrialResult


@dataclass(frozen=True)
class StudyRecord:
    id: int
    job_uid: str
    job_name: str | None
    label: str
    replicate: int
    spec: ResolvedSpec
    started_at: datetime | None


@dataclass(frozen=True)
class StudyTrial:
    """A trial of a study; `curve` is the selection metric so far, also while it runs."""

    id: int
    study_id: int
    state: TrialState
    plan: TrialPlan
    result: TrialResult | None
    curve: list[Point]
    started_at: datetime | None
    finished_at: datetime | None


class Studies:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def all(self, job_uid: str | None = None) -> list[StudyRecord]:
        """Every study, or those of one job, oldest first."""
        query = sa.select(
            study.c.id, study.c.label, study.c.replicate, job.c.uid, job.c.name, job.c.spec, job.c.created_at
        ).join(job, job.c.id == study.c.job_id)
        if job_uid is not None:
            query = query.where(job.c.uid == job_uid)
        specs: dict[str, ResolvedSpec] = {}
        records = []
        for row in self.connection.execute(query.order_by(study.c.id)):
            if row.uid not in specs:
                specs[row.uid] = ResolvedSpec.model_validate(row.spec)
            records.append(
                StudyRecord(
                    row.id, row.uid, row.name, row.label, row.replicate, specs[row.uid], row.created_at
                )
            )
        return records

    def trials(self, study_id: int, *, leaving_out: Sequence[int] = ()) -> list[StudyTrial]:
        """The study's trials by number, but for the ids in `leaving_out` (finished ones the caller knows)."""
        query = (
            sa.select(trial, cohort.c.progress)
            .join(cohort, cohort.c.id == trial.c.cohort_id)
            .where(trial.c.study_id == study_id)
            .order_by(trial.c.number)
        )
        known = set(leaving_out)
        return [_study_trial(row) for row in self.connection.execute(query) if row.id not in known]

    def of_trial(self, trial_id: int) -> int | None:
        """The study that a search trial belongs to."""
        return self.connection.scalar(sa.select(trial.c.study_id).where(trial.c.id == trial_id))


def _study_trial(row: sa.Row[tuple[object, ...]]) -> StudyTrial:
    values = row._mapping
    plan = TrialPlan.model_validate(values["plan"])
    result = None if values["result"] is None else TrialResult.model_validate(values["result"])
    return StudyTrial(
        id=values["id"],
        study_id=values["study_id"],
        state=TrialState(values["state"]),
        plan=plan,
        result=result,
        curve=[Point(*point) for point in (values["progress"] or {}).get(str(values["position"]), [])],
        started_at=values["started_at"],
        finished_at=values["finished_at"],
    )
