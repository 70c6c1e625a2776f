"""A job in the middle of its race, made up: search trials with values as a search finds them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from tests.builders.jobs import add_job, make_spec, must_claim, planning
from whichopt.service.db import Store
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Direction, Origin, Phase, TrialState
from whichopt.service.trials import Point, Seeds, TrialPlan, TrialResult

SIX = ("adabelief", "adamw", "nadam", "radam", "adam", "sgd")
TWELVE: tuple[Any, ...] = (
    *SIX,
    "qhadam",
    "qhadamw",
    "lamb",
    "rmsprop",
    "adagrad",
    {"name": "sgd", "label": "sgd-narrow"},
)
COHORT = 24
"""Most trials of a cohort."""


def racing_job(
    store: Store,
    *,
    optimizers: Sequence[Any] = SIX,
    trials: int = 24,
    done: int = 87,
    running: int = 9,
    replicates: int = 3,
    epochs: int = 15,
    metric: str | None = None,
    name: str = "digits, who wins?",
    spec: ResolvedSpec | None = None,
    **changes: Any,
) -> tuple[int, str]:
    """Record a job that searches: `done` trials have a result, and `running` more are being trained.

    `trials` is the number of search trials of each optimizer. Study by study the trials are in their order,
    and each begins with the default. With `metric="accuracy"` more is better. With `spec` it is that job.
    """
    workload = {"dataset": "digits", "model": {"name": "mlp", "hidden": [64]}, "metric": metric}
    budget = {"trials": trials, "replicates": replicates, "epochs": epochs, "confirm_seeds": 10}
    body = {"workload": workload, "optimizers": list(optimizers), "budget": budget, "name": name, **changes}
    spec = make_spec(**body) if spec is None else spec
    job_id, uid = add_job(store, spec)
    chance = random.Random(7)
    plans = race_plans(spec, done + running, chance)
    ended, live = plans[:done], plans[done:]
    _round(store, job_id, ended, live, chance)
    return job_id, uid


def race_plans(spec: ResolvedSpec, count: int, chance: random.Random) -> list[TrialPlan]:
    """The first trials of the search: the first of every study, then the second, and so on."""
    made = []
    for number in range(spec.study_trials_of(spec.labels[0])):
        for replicate in range(spec.budget.replicates):
            for chosen in spec.optimizers:
                lr = chosen.default["lr"] if number == 0 else 10 ** chance.uniform(-4, -1)
                length = spec.sizes.train * spec.budget.epochs
                made.append(
                    TrialPlan(
                        label=chosen.label,
                        optimizer=chosen.name,
                        config={**chosen.default, "lr": lr},
                        training=spec.training,
                        seeds=Seeds(init=replicate, order=replicate, split=replicate),
                        length=length,
                        evaluations=tuple(spec.sizes.train * (i + 1) for i in range(spec.budget.epochs)),
                        phase=Phase.SEARCH,
                        origin=Origin.TPE if number > 9 else Origin.RANDOM if number else Origin.DEFAULT,
                        replicate=replicate,
                        number=number,
                    )
                )
                if len(made) == count:
                    return made
    return made


def _round(
    store: Store, job_id: int, ended: list[TrialPlan], live: list[TrialPlan], chance: random.Random
) -> None:
    planned = planning(store, job_id)
    assert planned is not None
    cohorts = [ended[at : at + COHORT] for at in range(0, len(ended), COHORT)]
    halves = [live[::2], live[1::2]]
    waiting = [half for half in halves if half]
    with store.transaction() as tx:
        spec = planned.spec.with_executor("stacked")
        ids = tx.jobs.add_round(planned, [*cohorts, *waiting], spec=spec, cut_short=False)
    assert ids is not None
    for cohort_id in ids[: len(cohorts)]:
        claimed = must_claim(store, cohort_id)
        with store.transaction() as tx:
            assert tx.cohorts.finish(
                claimed, [make_race_result(spec, plan, chance) for plan in claimed.plans]
            )
    for cohort_id in ids[len(cohorts) :]:
        claimed = must_claim(store, cohort_id)
        seen = len(claimed.plans[0].evaluations) // 2
        curves = {
            place: make_race_result(spec, plan, chance, plain=True).curves[spec.goal.curve][:seen]
            for place, plan in enumerate(claimed.plans)
        }
        with store.transaction() as tx:
            tx.cohorts.beat(
                claimed, lease_s=6000, examples=spec.sizes.train * seen * len(claimed.plans), curves=curves
            )


def make_race_result(
    spec: ResolvedSpec, plan: TrialPlan, chance: random.Random, *, plain: bool = False
) -> TrialResult:
    """Return a result, better as a search goes on; unless plain, some are pruned and some diverge."""
    final = 0.062 + 0.006 * spec.labels.index(plan.label)
    spread = 0.85 - 0.45 * min(1.0, plan.number / 18)
    value = final * math.exp(abs(chance.gauss(0, spread)) + 0.02)
    if plan.number == 0:
        value = 1.55 if plan.label == "radam" else final * chance.uniform(1.6, 2.2)
    maximizes = spec.goal.direction is Direction.MAXIMIZE
    state, points = TrialState.COMPLETE, len(plan.evaluations)
    draw = 1.0 if plain or plan.number == 0 else chance.random()
    if draw < 0.05:
        state, points = TrialState.DIVERGED, points // 3
    elif value > 3 * final and draw < 0.7:
        state, points = TrialState.PRUNED, points // 2
    curve = []
    for at in range(points):
        left = (2.3 - value) * math.exp(-3 * (at + 1) / points) if at + 1 < points else 0.0
        loss = value + left
        shown = 1 - min(loss, 1.0) / 2 if maximizes else loss
        curve.append(Point(at + 1, plan.evaluations[at], shown))
    ended = state is not TrialState.DIVERGED
    last = curve[-1].value
    metrics = {"validation": {spec.goal.metric: last}, "train": {spec.goal.metric: last}}
    return TrialResult(
        state=state,
        value=last if state is TrialState.COMPLETE else None,
        metrics=metrics if ended else {},
        curves={spec.goal.curve: curve, f"train.{spec.goal.metric}": curve},
        steps=points,
        examples=curve[-1].examples,
        seconds=0.006 * points,
    )
