"""Jobs that are planned and pretend to be trained, for the tests of what is planned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from whichopt.service.catalog import tasks
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult
from whichopt.workers.sampler import suggest

GOAL = tasks.task("classification").goal


def spec_of(**budget: Any) -> ResolvedSpec:
    return resolve(
        JobSpec.model_validate(
            {
                "workload": {"dataset": {"name": "digits"}, "model": {"name": "linear"}},
                "optimizers": ["adabelief", "sgd", "lamb"],
                "budget": {"trials": 24, "replicates": 3, "epochs": 8, "confirm_seeds": 4, **budget},
            }
        )
    )


def train(plan: TrialPlan) -> TrialResult:
    """A made-up training run, as simple as can be: the closer lr is to 1e-2 the better; huge ones diverge."""
    lr = float(plan.config["lr"])
    value = abs(math.log10(lr) + 2)
    curve = [Point(i + 1, seen, value + 1 / (i + 1)) for i, seen in enumerate(plan.evaluations)]
    if lr > 0.5:
        return result(TrialState.DIVERGED, None, curve[:1], plan)
    for rung in plan.rungs:
        reached = next(i for i, point in enumerate(curve) if point.examples == rung.examples)
        if curve[reached].value > rung.threshold:
            return result(TrialState.PRUNED, None, curve[: reached + 1], plan)
    return result(TrialState.COMPLETE, curve[-1].value, curve, plan)


def result(state: Any, value: float | None, curve: list[Point], plan: TrialPlan) -> TrialResult:
    return TrialResult(
        state=state,
        value=value,
        metrics={"validation": {"nll": curve[-1].value}},
        curves={"validation.nll": curve},
        reference={"nll": 9.0} if plan.phase is Phase.CONFIRM else None,
        steps=curve[-1].step,
        examples=curve[-1].examples,
        seconds=0.0,
    )


def run(
    spec: ResolvedSpec,
    *,
    stop_after: int | None = None,
    executor: str = "solo",
    workers: int = 1,
    train: Callable[[TrialPlan], TrialResult] = train,
) -> list[list[list[TrialPlan]]]:
    """Every round of the job, trained as above; time runs out after `stop_after` rounds."""
    trials: list[Trial] = []
    rounds: list[list[list[TrialPlan]]] = []
    while True:
        out_of_time = stop_after is not None and len(rounds) >= stop_after
        planned = next_round(
            spec, trials, suggest, executor=executor, workers=workers, out_of_time=out_of_time
        )
        if planned is None:
            return rounds
        rounds.append(planned.cohorts)
        for plan in flat(planned.cohorts):
            found = train(plan)
            trials.append(Trial(plan=plan, state=found.state, result=found))


def flat(cohorts: Sequence[Sequence[TrialPlan]]) -> list[TrialPlan]:
    return [plan for cohort in cohorts for plan in cohort]


def plans_of(rounds: Sequence[Sequence[Sequence[TrialPlan]]], phase: Phase) -> list[TrialPlan]:
    return [plan for cohorts in rounds for plan in flat(cohorts) if plan.phase is phase]
