"""The studies of every job, as the Optuna dashboard and the export read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from whichopt.service.db.readable import spec_of
from whichopt.service.db.tables import cohort, job, study, trial
from whichopt.service.errors import UnreadableRow
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import TrialState
from whichopt.service.trials import Point, TrialPlan, TrialResult


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

    def all(
        self, job_uid: str | None = None, *, specs: dict[str, ResolvedSpec] | None = None
    ) -> list[StudyRecord]:
        """Every study, or those of one job, oldest first.

        `specs` are resolved specs that the caller knows by the uid of their job; the others are added to it.
        """
        known = {} if specs is None else specs
        query = sa.select(
            study.c.id, study.c.label, study.c.replicate, job.c.uid, job.c.name, job.c.created_at
        ).join(job, job.c.id == study.c.job_id)
        if job_uid is not None:
            query = query.where(job.c.uid == job_uid)
        rows = self.connection.execute(query.order_by(study.c.id)).all()
        for uid in {row.uid for row in rows} - set(known):
            row = self.connection.execute(
                sa.select(job.c.uid, job.c.spec, job.c.executor).where(job.c.uid == uid)
            ).one()
            try:
                known[uid] = spec_of(row)
            except UnreadableRow:
                if uid == job_uid:
                    raise
        return [
            StudyRecord(row.id, row.uid, row.name, row.label, row.replicate, known[row.uid], row.created_at)
            for row in rows
            if row.uid in known  # the others cannot be read, which is logged
        ]

    def trials(self, study_id: int, *, leaving_out: Sequence[int] = ()) -> list[StudyTrial]:
        """The study's trials by number, but for the ids in `leaving_out` (finished ones the caller knows)."""
        query = (
            sa.select(trial, cohort.c.progress)
            .join(cohort, cohort.c.id == trial.c.cohort_id)
            .where(trial.c.study_id == study_id, trial.c.id.not_in(leaving_out))
            .order_by(trial.c.number)
        )
        return [_study_trial(row) for row in self.connection.execute(query)]

    def job(self, job_uid: str) -> tuple[int, ResolvedSpec] | None:
        """Return the id of a job and its resolved spec; None if there is no such job.

        Raises:
            UnreadableRow: its spec cannot be read.
        """
        query = sa.select(job.c.id, job.c.uid, job.c.spec, job.c.executor).where(job.c.uid == job_uid)
        row = self.connection.execute(query).one_or_none()
        return None if row is None else (row.id, spec_of(row))

    def ids(self, job_uid: str) -> list[int]:
        """Return the ids of a job's studies, in their order."""
        query = sa.select(study.c.id).join(job, job.c.id == study.c.job_id).where(job.c.uid == job_uid)
        return list(self.connection.scalars(query.order_by(study.c.id)))

    def exists(self, study_id: int) -> bool:
        return self.connection.scalar(sa.select(study.c.id).where(study.c.id == study_id)) is not None

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
