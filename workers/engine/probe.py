"""Which executor suits a job: what it can do, and what a few steps of either cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from time import perf_counter

import structlog
from torch import Tensor

from service.trials import TrialPlan
from workers.engine.nets import nets
from workers.engine.run import Run
from workers.engine.solo import Trial
from workers.engine.stacked import footprint
from workers.workload import Workload

log = structlog.get_logger()

STACKED = 16
"""Trials in the stack that is tried: about where more of them cease to make a step cheaper."""

FEW, LONG_S = 4, 0.002
"""Trials in it, where a step of one takes longer than that: then it is not the calls that cost."""

WARMING, STEPS = 2, 4
"""Steps before a step is timed, and those that are."""


@dataclass(frozen=True)
class Choice:
    """`seconds` is what a step of one trial took, by executor; empty where that did not settle it."""

    executor: str
    seconds: dict[str, float]


def choose(workload: Workload, plans: Sequence[TrialPlan], *, measured: bool = True) -> Choice:
    """The faster executor for trials like `plans`: solo, where the workload cannot be stacked.

    Where the trials will be trained on another device than the workload's, times say nothing: then, not
    `measured`, what can be stacked is.
    """
    kinds = list({plan.optimizer: plan for plan in plans}.values())
    solo = fmean(_seconds(Trial(workload, plan).train, plan) for plan in kinds)
    try:
        most = footprint(workload, plans).most(workload.device)
        size = min(STACKED if solo < LONG_S else max(FEW, len(kinds)), most)
        tried = [kinds[at % len(kinds)] for at in range(size)]
        tried.sort(key=lambda plan: plan.optimizer)
        run = Run(workload, nets(workload), tried, range(size), None, block=size)
        stacked = _seconds(run.train, tried[0]) / size
    except RuntimeError as error:
        log.info("cannot_be_stacked", reason=str(error)[:300])
        return Choice("solo", {})
    if not measured:
        return Choice("stacked", {})
    seconds = {"solo": solo, "stacked": stacked}
    return Choice(min(seconds, key=seconds.__getitem__), seconds)


def _seconds(train: Callable[[int], Tensor], plan: TrialPlan) -> float:
    """What a step takes at best; the first ones make the state and fill the caches, and are not timed."""
    size = plan.training.batch_size
    took = []
    for number in range(WARMING, WARMING + STEPS + 1):
        started = perf_counter()
        train(number * size).sum().item()
        took.append(perf_counter() - started)
    return min(took[1:])
