"""All that is recorded of a concluded job, read back whole for its evidence report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whichopt.service.db.earlier import earlier_jobs
from whichopt.service.db.example_values import ExampleValues
from whichopt.service.db.readable import readable, recommendation_of, spec_of
from whichopt.service.db.tables import cohort, job, trial
from whichopt.service.db.trials import PLAN
from whichopt.service.environment import Environment
from whichopt.service.records import EarlierJobs, JobFacts, RecordedTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import JobState, TrialState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.service.views import Recommendation

RESULT = sa.cast(trial.c.result, sa.Text)
"""The column as text: the model reads it faster than driver and model in turn."""


@dataclass(frozen=True)
class JobRecord:
    """`recommendation` is None until there is one; then there are trials to read."""

    revision: int
    state: JobState
    facts: JobFacts
    spec: ResolvedSpec
    recommendation: Recommendation | None
    environments: list[Environment]
    trials: list[RecordedTrial]


class Records:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def of_job(self, uid: str) -> JobRecord | None:
        """The job, and once it has concluded every trial with its whole result in the order of planning."""
        row = self.connection.execute(sa.select(job).where(job.c.uid == uid)).one_or_none()
        if row is None:
            return None
        spec = spec_of(row)
        concluded = row.recommendation is not None
        environments, trials = self._trials(row.id) if concluded else ([], [])
        return JobRecord(
            revision=row.revision,
            state=JobState(row.state),
            facts=JobFacts(
                id=row.uid,
                name=row.name,
                queue=row.queue,
                executor=spec.trained_by or "",
                probe=row.probe,
                cut_short=row.cut_short,
                concluded_seeds=row.concluded_seeds,
                created_at=row.created_at,
                started_at=row.started_at,
                finished_at=row.finished_at,
            ),
            spec=spec,
            recommendation=readable(row, recommendation_of) if concluded else None,
            environments=environments,
            trials=trials,
        )

    def earlier(self, uid: str) -> EarlierJobs | None:
        """Return the jobs before it about the same data, model and metric; None if there is no such job."""
        return earlier_jobs(self.connection, uid)

    def environments_of(self, job_id: int) -> list[Environment]:
        """Return what has trained the job's trials so far, each kind once."""
        return self._environments(job_id)[0]

    def _environments(self, job_id: int) -> tuple[list[Environment], dict[int, int]]:
        """The distinct environments, and by cohort the place of its own among them."""
        place: dict[str, int] = {}
        environments: list[Environment] = []
        of_cohort: dict[int, int] = {}
        query = (
            sa.select(cohort.c.id, cohort.c.environment)
            .where(cohort.c.job_id == job_id, cohort.c.environment.is_not(None))
            .order_by(cohort.c.id)
        )
        for row in self.connection.execute(query):
            known = json.dumps(row.environment, sort_keys=True)
            if known not in place:
                place[known] = len(environments)
                environments.append(Environment.model_validate(row.environment))
            of_cohort[row.id] = place[known]
        return environments, of_cohort

    def _trials(self, job_id: int) -> tuple[list[Environment], list[RecordedTrial]]:
        """The distinct environments, and the trials with the place of theirs among them."""
        environments, of_cohort = self._environments(job_id)
        rows = self.connection.execute(
            sa.select(PLAN.label("plan"), RESULT.label("result"), trial.c.state, trial.c.cohort_id)
            .where(trial.c.job_id == job_id)
            .order_by(trial.c.id)
        )
        trials = [_trial(row, of_cohort.get(row.cohort_id)) for row in rows]
        return environments, ExampleValues(self.connection).given_to(job_id, trials)


def _trial(row: sa.Row[Any], environment: int | None) -> RecordedTrial:
    return RecordedTrial(
        plan=TrialPlan.model_validate_json(row.plan),
        state=TrialState(row.state),
        result=None if row.result is None else TrialResult.model_validate_json(row.result),
        environment=environment,
    )
