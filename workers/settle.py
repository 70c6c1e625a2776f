"""What is settled before a job's first round, by a probe of what its trials cost, and kept from then on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from service.db.jobs import Planning
from service.spec import ResolvedSpec
from service.trials import TrialPlan
from workers import pace, workload
from workers.engine.probe import choose, costs
from workers.study import next_round
from workers.workload import Workload


@dataclass(frozen=True)
class Settlement:
    """`spec` is the job's own, where nothing of it was left to settle; `probe` is what a step of one trial
    took, by executor, where that settled the executor."""

    executor: str
    probe: dict[str, float]
    spec: ResolvedSpec


def settle(planned: Planning) -> Settlement:
    """What the job's trials are trained by, and what its minutes come to.

    Every worker plans, whatever it trains on. One without the job's device measures on its own: of executors
    that says nothing, and of minutes something that the first round corrects.

    Raises:
        BudgetTooShort: the minutes do not suffice for the least of searches.
    """
    spec = planned.spec
    executor = planned.executor or (None if spec.executor == "auto" else spec.executor)
    open_minutes = spec.budget.timed and spec.budget.settled is None
    if executor is not None and not open_minutes:
        return Settlement(executor, {}, spec)
    plans = _first_plans(spec)
    here = planned.queue == "cpu" or torch.cuda.is_available()
    built = workload.build(spec.workload, device=planned.queue if here else "cpu")
    probe: dict[str, float] = {}
    if executor is None:
        choice = choose(built, plans, measured=here)
        executor, probe = choice.executor, choice.seconds
    if open_minutes:
        spec = _minutes(spec, built, plans, executor, planned.workers)
    return Settlement(executor, probe, spec)


def _first_plans(spec: ResolvedSpec) -> list[TrialPlan]:
    """Each study's first trial, and with trials all of its first round."""
    if spec.budget.timed:
        few = {"minutes": None, "trials": spec.budget.replicates}
        spec = spec.model_copy(update={"budget": spec.budget.model_copy(update=few)})
    first = next_round(spec, [], executor="solo")
    assert first is not None
    return [plan for cohort in first.cohorts for plan in cohort]


def _minutes(
    spec: ResolvedSpec, built: Workload, plans: Sequence[TrialPlan], executor: str, workers: int
) -> ResolvedSpec:
    cost = costs(built, plans, executor)
    return pace.settle(
        spec,
        step_seconds={chosen.label: cost[chosen.name].step for chosen in spec.optimizers},
        trial_seconds={chosen.label: cost[chosen.name].of(plans[0]) for chosen in spec.optimizers},
        processes=max(1, workers),
    )
