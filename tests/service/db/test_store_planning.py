"""What a planner reads and writes, on both databases: rounds, results, and who is there to train."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import sqlalchemy as sa

from tests.builders.jobs import add_job, make_plans, make_spec, must_claim, planning
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, trial
from whichopt.service.states import TrialState
from whichopt.service.trials import Point, Rung, TrialPlan, TrialResult

CURVE = [Point(1, 50, 2 / 3), Point(2, 100, 1.0), Point(3, 150, math.pi * 1e-17)]


def plans_of(count: int) -> list[TrialPlan]:
    """The first trials of a study, with thresholds and with values of every type."""
    plan = make_plans(make_spec())[0]
    odd = {"lr": 0.1 + 0.2, "beta1": 1.0, "eps": 5e-324, "rectify": True, "decay": 0, "name": "é"}
    config = {**plan.config, **odd}
    changes = {"config": config, "rungs": (Rung(examples=50, threshold=-1 / 3),)}
    return [plan.model_copy(update={**changes, "number": number}) for number in range(count)]


def result_of(number: int) -> TrialResult:
    """Complete, pruned, diverged, and diverged before its first evaluation, in turn."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.DIVERGED)
    state = states[number % 4]
    curves = {"train.loss": CURVE, "validation.nll": CURVE[: 3 - number % 4], "validation.accuracy": CURVE}
    return TrialResult.model_validate(
        {
            "state": state,
            "value": number / 7 if state is TrialState.COMPLETE else None,
            "metrics": {"validation": {"nll": number / 3}} if number % 4 < 2 else {},
            "curves": {} if number % 4 == 3 else curves,
            "reference": {"nll": 1 / 3} if number % 2 else None,
            "steps": number,
            "examples": 10 * number,
            "seconds": number / 11,
        }
    )


def as_planned(result: TrialResult) -> TrialResult:
    """With no curve but the one that is planned from."""
    kept = {name: curve for name, curve in result.curves.items() if name == "validation.nll"}
    return result.model_copy(update={"curves": kept})


def add_cohorts(store: Store, job_id: int, cohorts: list[list[TrialPlan]]) -> list[int]:
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, cohorts, executor="solo", cut_short=False)
    assert ids is not None
    return ids


def test_what_was_planned_and_found_is_read_back_to_the_bit(store: Store) -> None:
    job_id, _ = add_job(store)
    plans = plans_of(10)
    for cohort_id in add_cohorts(store, job_id, [plans[:7], plans[7:]])[::-1]:
        claimed = must_claim(store, cohort_id)
        assert str(claimed.plans) == str(plans[:7] if len(claimed.plans) == 7 else plans[7:])
        with store.transaction() as tx:
            assert tx.cohorts.finish(claimed, [result_of(plan.number) for plan in claimed.plans])
    planned = planning(store, job_id)
    assert planned is not None
    assert str([trial.plan for trial in planned.trials]) == str(plans), "types too, as their text has them"
    expected = [as_planned(result_of(number)) for number in range(10)]
    assert [trial.result for trial in planned.trials] == expected
    assert str([trial.result for trial in planned.trials]) == str(expected)
    assert [trial.state for trial in planned.trials] == [found.state for found in expected]
    with store.read() as tx:
        views = tx.views.trials(job_id, limit=100).items
    assert [(view.value, view.steps, view.examples, view.seconds, view.curve) for view in views] == [
        (found.value, found.steps, found.examples, found.seconds, found.curves.get("validation.nll", []))
        for found in expected
    ]


def test_the_cohorts_of_a_large_round_are_in_the_order_of_their_plans(store: Store) -> None:
    job_id, _ = add_job(store)
    plans = plans_of(1200)
    ids = add_cohorts(store, job_id, [plans[start : start + 8] for start in range(0, 1200, 8)])
    with store.read() as tx:
        cohorts = tx.connection.execute(sa.select(cohort.c.id, cohort.c.position).order_by(cohort.c.id)).all()
        rows = tx.connection.execute(
            sa.select(trial.c.cohort_id, trial.c.position, trial.c.number).order_by(trial.c.id)
        ).all()
    assert [tuple(row) for row in cohorts] == [(cohort_id, i) for i, cohort_id in enumerate(ids)]
    assert [tuple(row) for row in rows] == [(ids[i // 8], i % 8, i) for i in range(1200)]
    assert all(a < b for a, b in pairwise(ids))


@pytest.mark.parametrize(("alive_s", "expected"), [(60.0, 7), (-1.0, 0)])
def test_a_planner_hears_how_many_processes_wait_for_its_job(
    store: Store, alive_s: float, expected: int
) -> None:
    job_id, _ = add_job(store)
    with store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu", processes=2)
        tx.workers.seen("w1", queue="cpu", processes=3)
        tx.workers.seen("w2", queue="cpu", processes=4)
        tx.workers.seen("w3", queue="cuda", processes=8)
        tx.workers.seen("w4", queue="cpu", processes=16)
        tx.workers.stopping("w4")
    with store.read() as tx:
        planned = tx.jobs.planning(job_id, alive_s=alive_s)
        assert tx.workers.live(60.0) == {"cpu": 7, "cuda": 8}
    assert planned is not None
    assert planned.workers == expected
