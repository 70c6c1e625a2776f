"""A large job, made up: thousands of trials with the curves that trained ones have."""

from __future__ import annotations

import random

from tests.builders.concluded_jobs import make_recommendation
from tests.builders.jobs import add_job, make_spec, must_claim, planning
from whichopt.service.db import Store
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trials import Point, Seeds, TrialPlan, TrialResult

COHORT = 48
"""Trials of one cohort."""

CURVES = ("validation.nll", "validation.accuracy", "train.nll", "train.accuracy")


def large_job(store: Store, *, trials: int, points: int = 20) -> tuple[int, str]:
    """Record a job of that many search trials, two optimizers in one study each, that has concluded."""
    budget = {"trials": trials // 2, "replicates": 1, "epochs": points, "confirm_seeds": 3}
    spec = make_spec(name="large", budget=budget)
    job_id, uid = add_job(store, spec)
    planned = planning(store, job_id)
    assert planned is not None
    chance = random.Random(0)
    plans = [_plan(spec, i, points, chance) for i in range(trials)]
    cohorts = [plans[at : at + COHORT] for at in range(0, trials, COHORT)]
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, cohorts, executor="stacked", cut_short=False)
    assert ids is not None
    for cohort_id in ids:
        claimed = must_claim(store, cohort_id)
        with store.transaction() as tx:
            assert tx.cohorts.finish(claimed, [_result(points, chance) for _ in claimed.plans])
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, make_recommendation(uid, spec))
    return job_id, uid


def _plan(spec: ResolvedSpec, place: int, points: int, chance: random.Random) -> TrialPlan:
    chosen = spec.optimizers[place % 2]
    return TrialPlan(
        label=chosen.label,
        optimizer=chosen.name,
        config={**chosen.default, "lr": 10 ** chance.uniform(-5, -1)},
        training=spec.training,
        seeds=Seeds(init=1, order=2, split=3),
        length=50 * points,
        evaluations=tuple(50 * (i + 1) for i in range(points)),
        phase=Phase.SEARCH,
        origin=Origin.RANDOM,
        replicate=0,
        number=place // 2,
    )


def _result(points: int, chance: random.Random) -> TrialResult:
    curves = {name: [Point(i + 1, 50 * (i + 1), chance.random()) for i in range(points)] for name in CURVES}
    value = curves["validation.nll"][-1].value
    return TrialResult(
        state=TrialState.COMPLETE,
        value=value,
        metrics={"validation": {"nll": value, "accuracy": 0.9}, "test": {"nll": value, "accuracy": 0.9}},
        curves=curves,
        steps=points,
        examples=50 * points,
        seconds=0.1,
    )
