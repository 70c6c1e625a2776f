"""Jobs that the real planner plans, and whose results are made up, so that they take no time."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from tests.builders.jobs import make_spec
from tests.builders.made import MakeSample, with_sample
from whichopt.service.db import Store
from whichopt.service.environment import here
from whichopt.service.settings import Settings
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Agreement, Direction, Phase, TrialState
from whichopt.service.trials import Point, TrialPlan, TrialResult
from whichopt.workers.jobs import Context, plan_round

GAP = 0.08
"""How much worse each optimizer is than the one before it, as a share of the best value."""


class Bell:
    """A dispatcher that remembers the cohorts that it is told to ring for."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def plan(self, job_id: int) -> None:
        raise AssertionError(f"nobody asks for a planner of job {job_id}")

    def cohorts(self, ids: Iterable[int], queue: str) -> None:  # noqa: ARG002
        self.ids += ids

    def report(self, job_id: int) -> None:
        """Is made by whoever asks first."""

    def waiting(self, _queue: str) -> int | None:
        return 0

    def refusal(self) -> str | None:
        return None

    def take(self) -> list[int]:
        rung, self.ids = self.ids, []
        return rung


def played_job(
    store: Store,
    folder: Path,
    spec: ResolvedSpec,
    *,
    gap: float = GAP,
    diverges: bool = False,
    stops: Callable[[TrialPlan], bool] = lambda _: False,
    makes: MakeSample | None = None,
) -> tuple[int, str]:
    """Play the job to its end, or until a cohort begins with a trial at which it `stops`; its ids.

    The first optimizer of the spec is the best, and each one is worse than the one before by `gap`. If all
    `diverges`, nothing can be recommended. A job that stops has that cohort in training, half done.
    Its networks make what `makes` says of each.
    """
    bell = Bell()
    spec = spec.model_copy(update={"agreement": Agreement.CLOSE})  # else this process is tried for seconds
    with _quiet():
        context = Context(store, bell, Settings(blobs=folder), "played")
        with store.transaction() as tx:
            job_id, uid = tx.jobs.add(spec, queue="cpu")
        plan_round(context, job_id)
        while cohorts := bell.take():
            for cohort_id in cohorts:
                with store.transaction() as tx:
                    claimed = tx.cohorts.claim(cohort_id, worker_name="cpu-1", lease_s=86400, attempts=3)
                assert claimed is not None
                results = [made_result(claimed.spec, plan, gap, diverges) for plan in claimed.plans]
                if makes is not None:
                    pairs = zip(claimed.plans, results, strict=True)
                    results = [with_sample(plan, result, makes) for plan, result in pairs]
                if stops(claimed.plans[0]):
                    curve = spec.goal.curve
                    half = {at: one.curves[curve][: one.steps // 2] for at, one in enumerate(results)}
                    seen = sum(points[-1].examples for points in half.values() if points)
                    with store.transaction() as tx:
                        tx.cohorts.beat(claimed, lease_s=86400, examples=seen, curves=half)
                    return job_id, uid
                with store.transaction() as tx:
                    assert tx.cohorts.finish(claimed, results, here(device="cpu", threads=1))
            plan_round(context, job_id)
    return job_id, uid


def confirming(look: int) -> Callable[[TrialPlan], bool]:
    """Tell of a trial if it is on a fresh seed after that many."""
    return lambda plan: plan.phase is Phase.CONFIRM and plan.number >= look


def digits_spec(optimizers: Sequence[Any], **changes: Any) -> ResolvedSpec:
    """The spec of a job on digits, small enough to be played in a second."""
    body = {
        "name": "digits, who wins?",
        "workload": {"dataset": "digits", "model": {"name": "mlp", "hidden": [64]}},
        "optimizers": list(optimizers),
        "budget": {"trials": 6, "replicates": 2, "epochs": 8, "confirm_seeds": 8},
        "executor": "stacked",
        "kernels": "torch",
        **changes,
    }
    return make_spec(**body)


def made_result(spec: ResolvedSpec, plan: TrialPlan, gap: float, diverges: bool) -> TrialResult:
    """Return a result that depends on the plan alone: the nearer lr is to the default, the better it is."""
    chance = random.Random(zlib.crc32(f"{plan.label}/{plan.phase}/{plan.replicate}/{plan.number}".encode()))
    default = next((one.default for one in spec.optimizers if one.label == plan.label), plan.config)
    off = math.log10(float(plan.config["lr"]) / float(default["lr"])) - 0.4
    place = spec.labels.index(plan.label) if plan.label in spec.labels else 0
    end = 0.15 * (1 + gap * place) * (1 + 0.5 * off**2) + 0.004 * chance.gauss(0, 1)
    losses = [
        end + 2 * math.exp(-4 * (at + 1) / len(plan.evaluations)) for at in range(len(plan.evaluations))
    ]
    state, count = TrialState.COMPLETE, len(losses)
    if diverges or off > 1.4:
        state, count = TrialState.DIVERGED, 2
    for rung in plan.rungs:
        at = plan.evaluations.index(rung.examples)
        if at < count - 1 and losses[at] > rung.threshold:
            state, count = TrialState.PRUNED, at + 1
    return _result(spec, plan, state, losses[:count])


def _result(spec: ResolvedSpec, plan: TrialPlan, state: Any, losses: Sequence[float]) -> TrialResult:
    size, metric = plan.training.batch_size, spec.goal.metric
    maximizes = spec.goal.direction is Direction.MAXIMIZE
    curves: dict[str, list[Point]] = {"train.loss": [], f"validation.{metric}": []}
    for seen, loss in zip(plan.evaluations, losses, strict=False):
        step = math.ceil(seen / size)
        curves["train.loss"].append(Point(step, seen, 0.9 * loss))
        curves[f"validation.{metric}"].append(Point(step, seen, math.exp(-loss) if maximizes else loss))
    step, seen, value = curves[f"validation.{metric}"][-1]
    confirm = plan.phase is Phase.CONFIRM
    ended = state is TrialState.COMPLETE
    splits = ("train", "validation", *(("test",) if confirm else ())) if ended else ("validation",)
    return TrialResult(
        state=state,
        value=value if ended else None,
        metrics={} if state is TrialState.DIVERGED else {split: {metric: value} for split in splits},
        curves=curves,
        reference={metric: 0.1 if maximizes else 2.3} if confirm else None,
        steps=step,
        examples=seen,
        seconds=1e-3 * step,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing, as lines would be written about each round."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        structlog.configure(**before)
