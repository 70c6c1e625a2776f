"""Thousands of jobs, with rows written directly: as many as a service has after years."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tests.builders.concluded_jobs import make_recommendation
from tests.builders.jobs import make_plans, make_result, make_spec
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, job, job_words, study, tally, trial
from whichopt.service.db.tallies import SUMS
from whichopt.service.db.words import words_of
from whichopt.service.ids import new_uid
from whichopt.service.states import CohortState, JobState, Phase, TrialState
from whichopt.service.views.verdict import Summary

AT_A_TIME = 500
TRIALS = 8
"""Trials of each job."""

SPEC = make_spec(
    name="one of many",
    workload={"dataset": "digits", "model": "mlp"},
    optimizers=["adabelief", "adamw", "nadam", "radam", "adam", "sgd"],
)
ODDS = {"adabelief": 0.6, "adamw": 0.2, "nadam": 0.1, "radam": 0.05, "adam": 0.03, "sgd": 0.02}
STATES = (
    *((JobState.SUCCEEDED, "winner"),) * 4,
    *((JobState.SUCCEEDED, "tie"),) * 4,
    (JobState.FAILED, None),
    (JobState.CANCELLED, None),
)


def many_jobs(store: Store, count: int) -> None:
    """Add that many jobs that have ended, with trials, counters and conclusions."""
    with store.transaction() as tx:
        first = (tx.connection.scalar(sa.select(sa.func.max(job.c.id))) or 0) + 1
        for at in range(first, first + count, AT_A_TIME):
            ids = range(at, min(at + AT_A_TIME, first + count))
            for table, rows in (
                (job, [_job(id_) for id_ in ids]),
                (job_words, [{"job_id": id_, "words": words_of(SPEC)} for id_ in ids]),
                (study, [row for id_ in ids for row in _studies(id_)]),
                (cohort, [_cohort(id_) for id_ in ids]),
                (trial, [row for id_ in ids for row in _trials(id_)]),
                (tally, [row for id_ in ids for row in _tallies(id_)]),
            ):
                tx.connection.execute(table.insert(), rows)


def _job(id_: int) -> dict[str, Any]:
    state, verdict = STATES[id_ % len(STATES)]
    uid = new_uid()
    told = make_recommendation(uid, SPEC).model_copy(update={"verdict": verdict or "tie"})
    made = datetime.now(UTC) - timedelta(minutes=id_)
    concluded: dict[str, Any] = {
        "recommendation": told.model_dump(mode="json"),
        "recommended": "adabelief",
        "odds": ODDS,
        "summary": Summary.of(told).model_dump(mode="json"),
    }
    return {
        "id": id_,
        "uid": uid,
        "name": f"one of many, {id_}",
        "state": state,
        "phase": Phase.CONFIRM,
        "spec": SPEC.model_dump(mode="json"),
        "dataset": "digits",
        "model": "mlp",
        "queue": "cpu",
        "round": 2,
        "cut_short": False,
        "cancel_requested": state is JobState.CANCELLED,
        "revision": 9,
        "error": {"code": "x", "detail": "it raised"} if state is JobState.FAILED else None,
        "verdict": verdict,
        **(concluded if verdict else dict.fromkeys(concluded)),
        "created_at": made,
        "started_at": made,
        "finished_at": made + timedelta(seconds=31),
        "plan_rings": 0,
    }


def _studies(id_: int) -> Iterator[dict[str, Any]]:
    for one in SPEC.optimizers:
        yield {"job_id": id_, "label": one.label, "optimizer": one.name, "replicate": 0}


def _cohort(id_: int) -> dict[str, Any]:
    made = {"id": id_, "job_id": id_, "round": 0, "position": 0, "phase": Phase.SEARCH, "queue": "cpu"}
    return {**made, "state": CohortState.DONE, "attempt": 1, "examples": 100}


def _trials(id_: int) -> Iterator[dict[str, Any]]:
    for number in range(TRIALS):
        plan = make_plans(SPEC)[number % len(SPEC.optimizers)]
        yield {
            "uid": new_uid(),
            "job_id": id_,
            "cohort_id": id_,
            "position": number,
            "label": plan.label,
            "phase": Phase.SEARCH,
            "number": number,
            "state": TrialState.COMPLETE,
            "plan": plan,
            "result": make_result(),
            "value": 0.5,
            "steps": 2,
            "examples": 100,
            "seconds": 0.1,
            "revision": 9,
        }


def _tallies(id_: int) -> Iterator[dict[str, Any]]:
    for label in SPEC.labels:
        counted = {**dict.fromkeys(SUMS, 0), "total": 24, "done": 24, "steps": 48, "examples": 2400}
        yield {
            "job_id": id_,
            "label": label,
            "phase": Phase.SEARCH,
            "least": 0.5,
            "most": 0.5,
            **counted,
            "seconds": 2.4,
        }
