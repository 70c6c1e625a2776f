"""What an example costs in a batch that grows, as a multiple of one in a fixed batch of 64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.trials import TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine import Executor, Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.sampler import suggest

ROWS = {"solo": 1, "stacked": 16}
"""Trials that are trained, by executor."""

REPEATS = 5

FIXED = 64


@dataclass(frozen=True)
class Cost:
    """Microseconds of training an example, evaluations included, and as a multiple of a fixed batch of 64."""

    workload: str
    executor: str
    batches: str
    micros: float
    ratio: float


def costs(workloads: Mapping[str, Mapping[str, Any]], *, epochs: int = 3) -> Iterator[Cost]:
    """Yield what each way of making batches costs; the ways take turns, so that a slow moment hits all."""
    for name, asked in workloads.items():
        ways: dict[str, Mapping[str, Any]] = {
            f"fixed, {size}": {"batch_size": size} for size in (FIXED, 16, 8)
        }
        ways |= {
            f"growing, micro-batches of {micro}": {
                "batch_size": {"adaptive": "norm", "eta": 0.5, "start": 64, "micro": micro}
            }
            for micro in (8, 16)
        }
        for executor, make in EXECUTORS.items():
            plans = {way: _plans(asked, space, epochs, ROWS[executor]) for way, space in ways.items()}
            took = _took(asked, make(), plans)
            for way, seconds in took.items():
                examples = sum(plan.length for plan in plans[way])
                yield Cost(name, executor, way, 1e6 * seconds / examples, seconds / took[f"fixed, {FIXED}"])


def _plans(asked: Mapping[str, Any], space: Mapping[str, Any], epochs: int, rows: int) -> list[TrialPlan]:
    budget = {"trials": rows, "replicates": 1, "epochs": epochs, "confirm_seeds": 3}
    job = {"workload": asked, "optimizers": [{"name": "adagrad", "space": space}], "budget": budget}
    spec = resolve(JobSpec.model_validate(job))
    first = next_round(spec, [], suggest)
    assert first is not None
    plan = first.cohorts[0][0]
    return [
        plan.model_copy(update={"seeds": plan.seeds.model_copy(update={"init": row})}) for row in range(rows)
    ]


def _took(
    asked: Mapping[str, Any], executor: Executor, plans: Mapping[str, Sequence[TrialPlan]]
) -> dict[str, float]:
    spec = resolve(JobSpec.model_validate({"workload": asked, "optimizers": ["adagrad"]}))
    built = workload.build(spec.cataloged)
    took: dict[str, list[float]] = {way: [] for way in plans}
    for _ in range(1 + REPEATS):
        for way, rows in plans.items():
            started = perf_counter()
            executor.run(built, rows, Unwatched())
            took[way].append(perf_counter() - started)
    return {way: median(seconds[1:]) for way, seconds in took.items()}  # the first fills the caches
