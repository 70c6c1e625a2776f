"""Reads a job's race: its trials without curves, all of them or those that have changed since a revision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from whichopt.service.db.tables import cohort, job, study, trial
from whichopt.service.race import RaceChanges, RaceTrial, RunningCohort, Side
from whichopt.service.states import CohortState, Origin, Phase, TrialState
from whichopt.service.trials import Point

Row = sa.Row[Any]


class Races:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def changes(self, job_id: int, *, metric: str, since: int = 0) -> RaceChanges:
        """Return what has changed after the revision `since`, and what is being trained now.

        `metric` is the one that the job is judged by. At the revision `since` nothing is read, nor returned.
        """
        revision = self.connection.scalars(sa.select(job.c.revision).where(job.c.id == job_id)).one()
        if revision == since:
            return RaceChanges(revision, (), ())
        # The curves are most of a result, so it is only opened for trials that have no value in a column.
        cut = sa.case(
            (
                trial.c.state == TrialState.PRUNED,
                trial.c.result["metrics", "validation", metric].as_float(),
            )
        )
        query = (
            sa.select(
                trial.c.id,
                trial.c.label,
                trial.c.phase,
                study.c.replicate,
                trial.c.number,
                trial.c.state,
                trial.c.plan["origin"].as_string().label("origin"),
                sa.cast(trial.c.plan["config"], sa.Text).label("config"),
                sa.func.coalesce(trial.c.value, cut).label("value"),
                trial.c.steps,
                trial.c.examples,
                trial.c.seconds,
                trial.c.finished_at,
            )
            .outerjoin(study, study.c.id == trial.c.study_id)
            .where(trial.c.job_id == job_id, trial.c.revision > since)
            .order_by(trial.c.id)
        )
        trials = tuple(map(_trial, self.connection.execute(query)))
        return RaceChanges(revision, trials, self._running(job_id))

    def curves(self, ids: Sequence[int], *, curve: str) -> dict[int, list[Point]]:
        """Return the curve of that name of each of the trials that has one, by their row's id."""
        query = sa.select(trial.c.id, trial.c.result["curves", curve].label("curve"))
        rows = self.connection.execute(query.where(trial.c.id.in_(ids)))
        return {row.id: [Point._make(point) for point in row.curve] for row in rows if row.curve}

    def _running(self, job_id: int) -> tuple[RunningCohort, ...]:
        query = (
            sa.select(
                *(cohort.c[name] for name in ("id", "round", "phase", "examples", "progress", "worker"))
            )
            .where(cohort.c.job_id == job_id, cohort.c.state == CohortState.RUNNING)
            .order_by(cohort.c.id)
        )
        cohorts = self.connection.execute(query).all()
        # Apart from their cohorts, whose progress would come again with each of them.
        query = (
            sa.select(
                trial.c.cohort_id,
                trial.c.id,
                trial.c.position,
                trial.c.label,
                trial.c.plan["length"].as_integer().label("length"),
                trial.c.started_at,
            )
            .where(trial.c.cohort_id.in_([row.id for row in cohorts]))
            .order_by(trial.c.position)
        )
        trials: dict[int, list[Row]] = {}
        for row in self.connection.execute(query) if cohorts else ():
            trials.setdefault(row.cohort_id, []).append(row)
        return tuple(_cohort(row, trials[row.id]) for row in cohorts)


def _trial(row: Row) -> RaceTrial:
    return RaceTrial(
        id=row.id,
        label=row.label,
        phase=Phase(row.phase),
        replicate=row.replicate,
        number=row.number,
        state=TrialState(row.state),
        origin=Origin(row.origin),
        value=row.value,
        steps=row.steps,
        examples=row.examples,
        seconds=row.seconds,
        config=json.loads(row.config),
        finished_at=row.finished_at,
    )


def _cohort(row: Row, trials: list[Row]) -> RunningCohort:
    progress = row.progress or {}
    return RunningCohort(
        id=row.id,
        round=row.round,
        phase=Phase(row.phase),
        trials=tuple(Side(one.id, one.label, _last(progress.get(str(one.position)))) for one in trials),
        seen=row.examples,
        length=trials[0].length,
        worker=row.worker,
        since=min((one.started_at for one in trials if one.started_at is not None), default=None),
    )


def _last(curve: list[list[float]] | None) -> float | None:
    """The value of a curve's last point, which is (step, examples, value)."""
    return curve[-1][2] if curve else None
