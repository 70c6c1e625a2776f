"""Decides before a job's first round, by a probe of its trials' cost, what then stays fixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from whichopt.service.db.jobs import Planning
from whichopt.service.planning import minutes
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Agreement
from whichopt.service.trials import TrialPlan
from whichopt.workers import kernels, workload
from whichopt.workers.engine.agree import agreement
from whichopt.workers.engine.probe import choose, costs
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Workload


@dataclass(frozen=True)
class Settlement:
    """The decisions before the first round: `spec` is the job's own with the agreement of its results, the
    kernels, and the plan for its minutes. `probe` has the seconds of a step of one trial, by executor, if
    they decided the executor."""

    executor: str
    probe: dict[str, float]
    spec: ResolvedSpec


def settle(planned: Planning, *, compiling: Callable[[], None] = lambda: None) -> Settlement:
    """Decide how the job's trials are trained, and plan its minutes.

    Every worker plans, whatever it trains on. One without the job's device measures on its own: of executors
    that says nothing, and of minutes something that the first round corrects. `compiling` is called before a
    kernel is compiled.

    Raises:
        BudgetTooShort: the minutes do not suffice for the least of searches.
    """
    spec = planned.spec
    if planned.executor is not None:
        return Settlement(planned.executor, {}, spec)
    here = planned.queue == "cpu" or torch.cuda.is_available()
    executor: str = spec.executor
    probe: dict[str, float] = {}

    def built() -> Workload:
        return workload.build(spec.workload, device=planned.queue if here else "cpu")

    def step_seconds() -> dict[str, float]:
        plans = _first_plans(spec)
        if probe:
            return {plan.optimizer: probe[executor] for plan in plans}
        return {name: cost.step for name, cost in costs(built(), plans, executor).items()}

    if executor == "auto":
        choice = choose(built(), _first_plans(spec), measured=here)
        executor, probe = choice.executor, choice.seconds
    spec = spec.model_copy(update={"agreement": _agreement(planned, here=here).value})
    spec = kernels.settle(
        spec,
        on_cpu=planned.queue == "cpu",
        workers=planned.workers,
        step_seconds=step_seconds,
        compiling=compiling,
    )
    if spec.budget.timed and spec.budget.settled is None:
        spec = _minutes(spec, built(), _first_plans(spec), executor, planned.workers)
    return Settlement(executor, probe, spec)


def _agreement(planned: Planning, *, here: bool) -> Agreement:
    """Return the agreement of the job's results: `close`, if any worker that may train it cannot do better.

    If none is live, this process stands in for them, provided it has the job's device.
    """
    if planned.spec.agreement == "close" or (planned.agreement is None and not here):
        return Agreement.CLOSE
    return planned.agreement or agreement(planned.queue)


def _first_plans(spec: ResolvedSpec) -> list[TrialPlan]:
    """Each study's first trial, and with trials all of its first round."""
    if spec.budget.timed:
        few = {"minutes": None, "trials": spec.budget.replicates}
        spec = spec.model_copy(update={"budget": spec.budget.model_copy(update=few)})
    first = next_round(spec, [], suggest, executor="solo")
    assert first is not None
    return [plan for cohort in first.cohorts for plan in cohort]


def _minutes(
    spec: ResolvedSpec, built: Workload, plans: Sequence[TrialPlan], executor: str, workers: int
) -> ResolvedSpec:
    cost = costs(built, plans, executor)
    return minutes.settle(
        spec,
        step_seconds={chosen.label: cost[chosen.name].step for chosen in spec.optimizers},
        trial_seconds={chosen.label: cost[chosen.name].of(plans[0]) for chosen in spec.optimizers},
        processes=max(1, workers),
    )
