"""The job that `benchmarks.readers` is about: planned by the real planner, its results made up."""

from __future__ import annotations

import logging
import math
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key, upgrade
from whichopt.service.environment import here
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Point, TrialPlan, TrialResult
from whichopt.workers.jobs import Context, plan_round

KEY = "wo_the-key-of-this-benchmark"
OPTIMIZERS: list[Any] = [
    *("adabelief", "sgd", "adam", "adamw", "radam", "nadam", "rmsprop", "adagrad", "qhadam", "qhadamw"),
    "lamb",
    {"name": "sgd", "label": "sgd-narrow", "space": {"lr": {"type": "float", "low": 1e-3, "high": 1.0}}},
]
REPLICATES = 3
FRESH_SEEDS = 10
EPOCHS = 20


def spec_of(trials: int) -> ResolvedSpec:
    """The spec of a job with about that many trials, confirm included."""
    confirm = len(OPTIMIZERS) * (REPLICATES + 1) * FRESH_SEEDS
    each = max(1, round((trials - confirm) / len(OPTIMIZERS) / REPLICATES)) * REPLICATES
    body = {
        "name": "readers",
        "workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp"}},
        "optimizers": OPTIMIZERS,
        "budget": {
            "trials": each,
            "replicates": REPLICATES,
            "epochs": EPOCHS,
            "confirm_seeds": FRESH_SEEDS,
        },
        "executor": "stacked",
        "kernels": "torch",
    }
    return resolve(JobSpec.model_validate(body))


def train(spec: ResolvedSpec, plan: TrialPlan) -> TrialResult:
    """Return a made-up result: the nearer the learning rate is to the default, the lower the curve ends.

    The noise depends on the plan alone. No optimizer is better than another, so that confirm goes on.
    """
    words = (plan.label, plan.phase.value, str(plan.replicate), str(plan.number), repr(plan.config["lr"]))
    random = np.random.default_rng([plan.seeds.init, zlib.crc32("/".join(words).encode())])
    off = math.log10(float(plan.config["lr"]) / float(spec.optimizer(plan.label).default["lr"]))
    end = 0.15 + 0.04 * off**2 + 0.01 * random.standard_normal()
    shares = np.arange(1, len(plan.evaluations) + 1) / len(plan.evaluations)
    losses = end + 2.0 * np.exp(-(4 + off) * shares) + 0.01 * random.standard_normal(len(shares))
    points = np.maximum(losses, 1e-3)
    state, count = TrialState.COMPLETE, len(points)
    if off > 1.4:
        state, count = TrialState.DIVERGED, 2
    for rung in plan.rungs:
        at = plan.evaluations.index(rung.examples)
        if at < count - 1 and points[at] > rung.threshold:
            state, count = TrialState.PRUNED, at + 1
    return _result(plan, state, [float(value) for value in points[:count]])


def _result(plan: TrialPlan, state: Any, losses: Sequence[float]) -> TrialResult:
    size = plan.training.batch_size
    curves: dict[str, list[Point]] = {"train.loss": [], "validation.nll": [], "validation.accuracy": []}
    for seen, loss in zip(plan.evaluations, losses, strict=False):
        step = math.ceil(seen / size)
        for name, value in (("train.loss", 0.9 * loss), ("validation.nll", loss)):
            curves[name].append(Point(step, seen, value))
        curves["validation.accuracy"].append(Point(step, seen, math.exp(-loss)))
    last = {"nll": losses[-1], "accuracy": math.exp(-losses[-1])}
    splits = {"validation": last}
    confirm = plan.phase is Phase.CONFIRM
    if state is TrialState.COMPLETE:
        splits |= {"train": {name: 0.9 * value for name, value in last.items()}}
        splits |= {"test": last} if confirm else {}
    step, seen, _ = curves["validation.nll"][-1]
    return TrialResult(
        state=state,
        value=losses[-1] if state is TrialState.COMPLETE else None,
        metrics={} if state is TrialState.DIVERGED else splits,
        curves=curves,
        reference={"nll": 2.3, "accuracy": 0.1} if confirm else None,
        steps=step,
        examples=seen,
        seconds=1e-3 * step,
    )


class Bell:
    """A dispatcher that remembers the cohorts that it is told to ring for."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def plan(self, job_id: int) -> None:
        raise AssertionError(f"nobody asks for a planner of job {job_id}")

    def cohorts(self, ids: Iterable[int], queue: str) -> None:  # noqa: ARG002
        self.ids += ids

    def report(self, job_id: int) -> None:
        """Is made by whoever asks first, and measured there."""

    def waiting(self, queue: str, /) -> int | None:  # noqa: ARG002
        return 0

    def refusal(self) -> str | None:
        return None

    def take(self) -> list[int]:
        rung, self.ids = self.ids, []
        return rung


@dataclass(frozen=True)
class Made:
    """The job in its two databases; `running` is the one at its end if confirm had a single stage."""

    uid: str
    trials: int
    running: Path
    ended: Path


@contextmanager
def _quiet() -> Iterator[None]:
    """Log errors alone, as thousands of lines would be written about the job."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)


@_quiet()
def make(folder: Path, trials: int) -> Made:
    """Plan, pretend to train, and conclude the job in a new database."""
    running, ended = folder / "running.db", folder / "ended.db"
    store, bell, spec = Store(f"sqlite:///{ended}"), Bell(), spec_of(trials)
    upgrade(store)
    ensure_key(store, KEY)
    context = Context(store, bell, Settings(blobs=folder / "blobs"), "benchmark")
    with store.transaction() as tx:
        job_id, uid = tx.jobs.add(spec, queue="cpu")
    count = 0
    plan_round(context, job_id)
    while cohorts := bell.take():
        for number, cohort_id in enumerate(cohorts):
            with store.transaction() as tx:
                claim = tx.cohorts.claim(cohort_id, worker_name="benchmark", lease_s=3600, attempts=1)
            assert claim is not None
            plan = claim.plans[0]
            if number == 0 and plan.phase is Phase.CONFIRM and plan.number > 0 and not running.exists():
                _copy(ended, running)
            results = [train(claim.spec, plan) for plan in claim.plans]
            with store.transaction() as tx:
                assert tx.cohorts.finish(claim, results, here(device="cpu", threads=1))
            count += len(results)
        plan_round(context, job_id)
    with store.read() as tx:
        job = tx.views.job(uid, alive_s=1)
    store.close()
    if job is None or not job.state.ended or job.error is not None:
        raise RuntimeError(f"the job was not concluded: {None if job is None else job.error}")
    return Made(uid, count, running if running.exists() else ended, ended)


def _copy(database: Path, to: Path) -> None:
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
