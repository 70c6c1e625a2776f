"""Jobs that have come further, made up for the tests of the doors."""

from __future__ import annotations

from typing import Any

from tests.builders.jobs import add_job, add_round, finish, make_spec, must_claim, planning
from whichopt.service.db import Store
from whichopt.service.evidence.report.document import Report
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Direction, Origin, Phase, TrialState
from whichopt.service.trials import Point, Seeds, TrialPlan, TrialResult
from whichopt.service.views import (
    Cost,
    Difference,
    Interval,
    OptimizerVerdict,
    RankedOptimizer,
    Recommendation,
)

BODY: dict[str, Any] = {
    "name": "wine",
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
}


def make_recommendation(uid: str, spec: ResolvedSpec) -> Recommendation:
    value = Interval(mean=0.2, low=0.1, high=0.3, level=0.95, seeds=3)
    none = Difference(mean=0.0, low=None, high=None)
    chosen = spec.optimizers[0]
    return Recommendation(
        job_id=uid,
        task=spec.workload.task,
        dataset=spec.workload.dataset_name,
        model=spec.workload.model_name,
        function=spec.workload.function_name,
        verdict="tie",
        optimizer=chosen.label,
        config={"lr": 1e-3, "betas": [0.9, 0.999]},
        statement="No clear winner.",
        optimizer_verdict=OptimizerVerdict(
            verdict="tie", optimizer=None, equivalent=[], differences=[], replicates=2, statement="A tie."
        ),
        metric="nll",
        direction=Direction.MINIMIZE,
        value=value,
        probability_best=0.5,
        equivalent=list(spec.labels),
        ranking=[
            RankedOptimizer(
                optimizer=chosen.label,
                config={"lr": 1e-3},
                replicate=None,
                value=value,
                default_value=value,
                searched_value=None,
                confirmed_validation=None,
                probability_best=0.5,
                difference=none,
                diverged=0,
                trials=4,
                steps=8,
                examples=400,
                seconds=0.4,
            )
        ],
        cost=Cost(trials=8, steps=16, examples=800, seconds=0.8),
        warnings=[],
        snippet="import torch\n",
    )


def running_job(store: Store, spec: ResolvedSpec | None = None) -> tuple[int, str]:
    """A job with one cohort done and one queued."""
    job_id, uid = add_job(store, spec)
    first, _ = add_round(store, job_id)
    finish(store, must_claim(store, first))
    return job_id, uid


def concluded_job(store: Store, spec: ResolvedSpec | None = None) -> tuple[int, str]:
    """A job that has succeeded."""
    job_id, uid = add_job(store, spec)
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    conclude(store, job_id)
    return job_id, uid


def conclude(store: Store, job_id: int) -> None:
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, make_recommendation(planned.uid, planned.spec))


def recorded(store: Store, report: Report) -> str:
    """The uid of a job with the trials and the conclusion of that report."""
    job_id, uid = add_job(store, report.spec)
    for phase in Phase:
        own = [trial for trial in report.trials if trial.plan.phase is phase]
        planned = planning(store, job_id)
        assert planned is not None
        with store.transaction() as tx:
            ids = tx.jobs.add_round(
                planned, [[trial.plan for trial in own]], spec=planned.spec, cut_short=False
            )
        assert ids is not None
        claimed = must_claim(store, ids[0])
        with store.transaction() as tx:
            results = [trial.result for trial in own if trial.result is not None]
            assert tx.cohorts.finish(claimed, results, report.environments[0])
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, report.recommendation.model_copy(update={"job_id": uid}))
    return uid


CURVE = [Point(1, 50, 0.9), Point(2, 100, 0.4)]


def motley_job(store: Store) -> tuple[int, str]:
    """One optimizer, one study, its trials: complete, pruned, diverged, running, queued."""
    optimizers = [{"name": "adabelief", "label": "belief"}]
    budget = {"trials": 6, "replicates": 1, "epochs": 2, "confirm_seeds": 3}
    spec = make_spec(name="motley", optimizers=optimizers, budget=budget)
    job_id, uid = add_job(store, spec)
    planned = planning(store, job_id)
    assert planned is not None
    plans = [_plan(spec, number) for number in range(5)]
    with store.transaction() as tx:
        ids = tx.jobs.add_round(
            planned,
            [plans[:3], plans[3:4], plans[4:]],
            spec=planned.spec.with_executor("solo"),
            cut_short=False,
        )
    assert ids is not None
    with store.transaction() as tx:
        claimed = tx.cohorts.claim(ids[0], worker_name="w1", lease_s=60, attempts=3)
        assert claimed is not None
        results = [
            _result(TrialState.COMPLETE, 0.4, CURVE),
            _result(TrialState.PRUNED, None, CURVE[:1]),
            _result(TrialState.DIVERGED, None, []),
        ]
        assert tx.cohorts.finish(claimed, results)
        running = tx.cohorts.claim(ids[1], worker_name="w1", lease_s=60, attempts=3)
        assert running is not None
        tx.cohorts.beat(running, lease_s=60, examples=50, curves={0: CURVE[:1]})
    return job_id, uid


def _plan(spec: ResolvedSpec, number: int) -> TrialPlan:
    return TrialPlan(
        label="belief",
        optimizer="adabelief",
        config={**spec.optimizers[0].default, "lr": 1e-3 * (number + 1)},
        training=spec.training,
        seeds=Seeds(init=1, order=2, split=3),
        length=100,
        evaluations=(50, 100),
        phase=Phase.SEARCH,
        origin=Origin.DEFAULT if number == 0 else Origin.RANDOM,
        replicate=0,
        number=number,
    )


def _result(state: Any, value: float | None, curve: list[Point]) -> TrialResult:
    return TrialResult(
        state=state,
        value=value,
        metrics={"validation": {"nll": 0.4, "accuracy": 0.9}},
        curves={"validation.nll": curve},
        steps=len(curve),
        examples=50 * len(curve),
        seconds=0.1,
    )
