"""The runs of `benchmarks.regret`: every policy on a problem, and its pick trained again on fresh seeds."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.regret.policies import OTHERS, Pick, other, whichopt
from benchmarks.regret.problems import SIDES, Cohort, Problem, Single, like
from benchmarks.shared.processes import PROCESSES
from benchmarks.shared.trainers import AnyTrainers
from whichopt.service.errors import BudgetTooShort
from whichopt.service.seeds import derive, trial_seeds
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import TrialPlan

OURS, BY_MEAN = "whichopt", "whichopt, by the best mean"
POLICIES = (OURS, *OTHERS)


@dataclass(frozen=True)
class Run:
    """A policy on a problem in a repetition: the pick, and its mean value on the examples set aside."""

    problem: str
    repeat: int
    policy: str
    optimizer: str
    config: dict[str, Any]
    loss: float
    value: float
    diverged: int
    trials: int
    seconds: float
    details: dict[str, Any]


def repetition(crew: AnyTrainers, problem: Problem, repeat: int, seconds: float, seeds: int) -> list[Run]:
    """All policies, the product first as its seconds are the others'."""
    seed = derive(0, "regret", problem.name, repeat)
    spec, aside = problem.spec(seconds, seed), derive(1, problem.name, repeat)
    _warm_up(crew, spec, aside)
    try:
        ours, by_mean = whichopt(crew, spec, aside)
    except BudgetTooShort as error:  # others use the machine, or it is a slow one: more seconds, for all
        print(f"{problem.name} {repeat}: {error.detail}; twice the time", file=sys.stderr, flush=True)
        return repetition(crew, problem, repeat, 2 * seconds, seeds)
    picks = {OURS: ours, BY_MEAN: by_mean}
    for name, make in OTHERS.items():
        picks[name] = other(crew, make(spec), spec, aside, ours.seconds)
    return list(_judged(crew, problem, repeat, spec, aside, picks, seeds))


def _warm_up(crew: AnyTrainers, spec: ResolvedSpec, aside: int) -> None:
    """Every process trains a little of everything, so that whatever is made once is made."""
    name = spec.workload.model_dump_json()
    base = like(spec, trial_seeds(spec.seed, "warm-up", 0))
    size = base.training.batch_size
    short = base.model_copy(update={"length": 4 * size, "evaluations": (4 * size,)})
    plans = [
        short.model_copy(update={"label": o.label, "optimizer": o.name, "config": o.default})
        for o in spec.optimizers
    ]
    singles = [Single(name, aside, short, plan.optimizer, plan.config) for plan in plans]
    crew.everyone([*(Cohort(name, aside, on, plans) for on in SIDES), *singles])


def _judged(
    crew: AnyTrainers,
    problem: Problem,
    repeat: int,
    spec: ResolvedSpec,
    aside: int,
    picks: Mapping[str, Pick],
    seeds: int,
) -> Iterator[Run]:
    """The picks on the same fresh seeds."""
    plans: list[TrialPlan] = []
    for number in range(seeds):
        base = like(spec, trial_seeds(spec.seed, "judge", number))
        for name, pick in picks.items():
            changes = {
                "label": name,
                "optimizer": pick.optimizer,
                "config": pick.config,
                "phase": Phase.CONFIRM,
            }
            plans.append(base.model_copy(update={**changes, "number": number}))
    name = spec.workload.model_dump_json()
    cohorts = [Cohort(name, aside, "judge", plans[i::PROCESSES]) for i in range(PROCESSES)]
    values: dict[str, list[float]] = {policy: [] for policy in picks}
    diverged = dict.fromkeys(picks, 0)

    def keep(number: int, results: list[Any]) -> None:
        for plan, result in zip(cohorts[number].plans, results, strict=True):
            diverged[plan.label] += result.value is None
            score = result.reference[spec.goal.metric] if result.value is None else result.value
            values[plan.label].append(score)

    crew.map(cohorts, keep)
    for policy, pick in picks.items():
        value = math.fsum(values[policy]) / seeds
        yield Run(
            problem=problem.name,
            repeat=repeat,
            policy=policy,
            optimizer=pick.optimizer,
            config=pick.config,
            loss=spec.goal.sign * value,
            value=value,
            diverged=diverged[policy],
            trials=pick.trials,
            seconds=pick.seconds,
            details=pick.details,
        )
