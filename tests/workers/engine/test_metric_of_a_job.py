"""A job judged by any metric: executors select, prune and record by it, and keep the others beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from tests.builders.trials import spec_of
from whichopt.service.catalog.tasks import TASKS, TaskEntry
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Direction, Phase, TrialState
from whichopt.service.trials import Trial, TrialPlan
from whichopt.service.views import Recommendation
from whichopt.workers.engine import Executor
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.engine.stacked import StackedExecutor
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Workload, build

MakePlan = Callable[..., TrialPlan]
MLP = {"name": "mlp", "hidden": [4]}
SUBJECTS: dict[str, dict[str, Any]] = {
    "classification": {"dataset": "wine", "model": MLP},
    "regression": {"dataset": "diabetes", "model": MLP},
    "minimization": {"dataset": "quadratic_deep", "model": "quadratic"},
}
CASES = [(task, metric.name) for task in TASKS for metric in task.metrics]


@pytest.fixture(params=[SoloExecutor, StackedExecutor])
def executor(request: pytest.FixtureRequest) -> Executor:
    executor: Executor = request.param()
    return executor


def _judged_by(task: str, metric: str) -> ResolvedSpec:
    return spec_of(
        "adam",
        "sgd",
        trials=10,
        replicates=2,
        seeds=3,
        workload={**SUBJECTS[task], "metric": metric},
        pruning={"rungs": [0.5], "worst": 0.5},
    )


@pytest.mark.parametrize(("task", "metric"), CASES, ids=lambda part: getattr(part, "name", part))
def test_its_metric_has_a_curve_and_the_others_stand_beside_it(
    task: TaskEntry, metric: str, executor: Executor, make_plan: MakePlan, watch: Any
) -> None:
    spec = _judged_by(task.name, metric)
    assert spec.goal.metrics[0] == metric
    assert sorted(spec.goal.metrics) == sorted(one.name for one in task.metrics)
    workload = build(spec.cataloged)
    (result,) = executor.run(workload, [make_plan(phase=Phase.CONFIRM)], watch)
    assert result.state is TrialState.COMPLETE
    assert result.value == result.metrics["test"][metric]
    assert tuple(result.metrics["test"]) == tuple(result.metrics["validation"]) == spec.goal.metrics
    assert result.reference is not None
    assert tuple(result.reference) == spec.goal.metrics
    assert result.curves[spec.goal.curve][-1].value == result.metrics["validation"][metric]


def _mirrored(spec: ResolvedSpec, workload: Workload) -> tuple[ResolvedSpec, Workload]:
    """The same job, judged by the negated metric in the other direction."""
    other = {Direction.MINIMIZE: Direction.MAXIMIZE, Direction.MAXIMIZE: Direction.MINIMIZE}
    goal = spec.goal.model_copy(update={"direction": other[spec.goal.direction]})
    metrics = workload.criteria.metrics

    def negated(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:
        return {name: -value for name, value in metrics(outputs, targets, unit, names).items()}

    criteria = replace(workload.criteria, metrics=negated)
    turned = spec.model_copy(update={"workload": spec.workload.model_copy(update={"goal": goal})})
    return turned, replace(workload, goal=goal, criteria=criteria)


def _concluded(spec: ResolvedSpec, workload: Workload, watch: Any) -> tuple[list[Trial], Recommendation]:
    """Plan and train round after round, as the service does."""
    trials: list[Trial] = []
    chosen = spec.with_executor("stacked")
    while (planned := next_round(chosen, trials, suggest)) is not None:
        for plans in planned.cohorts:
            results = StackedExecutor().run(workload, plans, watch)
            trials += [
                Trial(plan=plan, state=result.state, result=result)
                for plan, result in zip(plans, results, strict=True)
            ]
    return trials, recommend("job", chosen, trials)


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "r2"])
def test_a_job_judged_by_a_maximized_metric_is_that_of_its_minimized_mirror(metric: str, watch: Any) -> None:
    """Through sampler, rungs, finalists and verdict: the same configs are tried, stopped and chosen."""
    spec = _judged_by("regression" if metric == "r2" else "classification", metric)
    assert spec.goal.direction is Direction.MAXIMIZE
    workload = build(spec.cataloged)
    trials, found = _concluded(spec, workload, watch)
    mirror, negated = _mirrored(spec, workload)
    turned, other = _concluded(mirror, negated, watch)
    # Of the few values that accuracy has on 28 examples, hardly one is below the quantile of the others.
    assert metric == "accuracy" or any(trial.state is TrialState.PRUNED for trial in trials)
    assert [(one.plan.config, one.state, one.plan.phase) for one in trials] == [
        (one.plan.config, one.state, one.plan.phase) for one in turned
    ]
    values = [None if one.result is None or one.result.value is None else -one.result.value for one in turned]
    assert [None if one.result is None else one.result.value for one in trials] == values
    assert found.optimizer == other.optimizer
    assert found.config == other.config
    assert found.verdict == other.verdict
    assert found.optimizer_verdict.verdict == other.optimizer_verdict.verdict
    if found.value is not None and other.value is not None:
        assert found.value.mean == -other.value.mean
    for ours, theirs in zip(found.ranking, other.ranking, strict=True):
        assert (ours.optimizer, ours.probability_best) == (theirs.optimizer, theirs.probability_best)
        if ours.difference is not None and theirs.difference is not None:
            assert ours.difference.mean == theirs.difference.mean  # positive is worse, either way
