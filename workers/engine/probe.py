"""Measures the cost of a job's trials: the executor that suits them, and each optimizer's time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from time import perf_counter

import structlog
import torch
from torch import Tensor

from whichopt.service.failures import in_line
from whichopt.service.spec import ExecutorName
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.executors import STACKING, NoSuchExecutor, Rehearsal
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.workload import Workload

log = structlog.get_logger()

STACKED = 16
"""Trials in the stack that is tried: about where more of them cease to make a step cheaper."""

FEW, LONG_S = 4, 0.002
"""Trials in it, if a step of one takes longer than that: then it is not the calls that cost."""

SLOW_S = 0.5
"""Seconds of a step of one trial from which on no stack is tried: it is the products alone that cost, a stack
takes as many times the memory, and was slower or hardly faster wherever it was measured
(`python -m benchmarks.networks`)."""

WARMING, STEPS = 2, 4
"""Steps before a step is timed, and those that are."""

ENOUGH_S = 1.0
"""Seconds after which a step is not tried again: what takes so long is not made shorter by a warm cache."""

BRIEF_S = 0.1
"""Seconds of an evaluation of a part of a split; if it takes longer, the rest is taken to be as slow."""

PART = 64
"""Examples in that part."""

PACED_STEPS = 8
"""Steps that are timed if their usual time is asked for, and not the best."""


@dataclass(frozen=True)
class Choice:
    """`seconds` is what a step of one trial took, by executor; empty if that did not decide it."""

    executor: ExecutorName
    seconds: dict[str, float]


def choose(workload: Workload, plans: Sequence[TrialPlan], *, measured: bool = True) -> Choice:
    """Return the faster executor for trials like `plans`, all of which can be stacked.

    If the trials will be trained on another device than this process has, times say nothing: then, not
    `measured`, they are stacked.
    """
    if STACKING is None:
        return Choice("solo", {})
    if not measured:
        return Choice("stacked", {})
    kinds = list({plan.optimizer: plan for plan in plans}.values())
    first = _seconds(TrialRun(workload, kinds[0]).train, kinds[0])
    if first > SLOW_S:
        return Choice("solo", {"solo": first})
    solo = fmean([first, *(_seconds(TrialRun(workload, plan).train, plan) for plan in kinds[1:])])
    try:
        most = STACKING.footprint(workload, plans).most(workload.device)
        size = min(STACKED if solo < LONG_S else max(FEW, len(kinds)), most)
        tried = [kinds[at % len(kinds)] for at in range(size)]
        tried.sort(key=lambda plan: plan.optimizer)
        stack = STACKING.rehearsal(workload, tried, block=size)
        stacked = _seconds(stack.train, tried[0]) / size
    except torch.OutOfMemoryError as error:  # somebody else has taken what was free when it was asked for
        log.warning("no_memory_for_a_stack", reason=in_line(error))
        return Choice("solo", {})
    return Choice("solo" if solo <= stacked else "stacked", {"solo": solo, "stacked": stacked})


@dataclass(frozen=True)
class TrainingCost:
    """Seconds that a trial keeps a worker: in a step, in an evaluation on a validation split, and in the one
    on the training split at its end. In a stack, its share of them."""

    step: float
    validation: float
    train: float

    def of(self, plan: TrialPlan) -> float:
        """The seconds of a full trial."""
        steps = plan.training.steps(0, plan.length)
        return steps * self.step + len(plan.evaluations) * self.validation + self.train


def costs(
    workload: Workload, plans: Sequence[TrialPlan], executors: Mapping[str, str]
) -> dict[str, TrainingCost]:
    """Return the cost of trials like `plans`, by label, under each label's executor.

    In a stack it is that of a stack of this optimizer only.
    """
    kinds = {(plan.optimizer, executors[plan.label]): plan for plan in plans}
    cost_of = {
        kind: _solo_cost(workload, plan)
        if kind[1] == "solo"
        else _stacked_cost(workload, plan, plans, kind[1])
        for kind, plan in kinds.items()
    }
    return {plan.label: cost_of[plan.optimizer, executors[plan.label]] for plan in plans}


def _solo_cost(workload: Workload, plan: TrialPlan) -> TrainingCost:
    def scoring(of: Workload) -> Callable[[str], object]:
        trial = TrialRun(of, plan)
        trial.model.eval()
        return lambda split: trial.scores(split, of.followed)

    step = _seconds(TrialRun(workload, plan).train, plan, steps=PACED_STEPS, of=median)
    return TrainingCost(step, *_evaluations(workload, plan, scoring))


def _stacked_cost(
    workload: Workload, plan: TrialPlan, plans: Sequence[TrialPlan], executor: str
) -> TrainingCost:
    if STACKING is None:
        raise NoSuchExecutor(executor)
    fits = STACKING.footprint(workload, plans)
    most = fits.most(workload.device)

    def of(workload: Workload, size: int) -> Rehearsal:
        assert STACKING is not None
        return STACKING.rehearsal(workload, [plan] * size, block=fits.block)

    def paced(size: int) -> float:
        return _seconds(of(workload, size).train, plan, steps=PACED_STEPS, of=median) / size

    size = min(FEW, most)
    step = paced(size)
    if step < LONG_S and most > size:
        size = min(STACKED, most)
        step = paced(size)

    def scoring(part: Workload) -> Callable[[str], object]:
        stack = of(part, size)
        return lambda split: stack.scores()(0, split, part.followed)

    validation, train = _evaluations(workload, plan, scoring)
    return TrainingCost(step, validation / size, train / size)


def _evaluations(
    workload: Workload, plan: TrialPlan, scoring: Callable[[Workload], Callable[[str], object]]
) -> tuple[float, float]:
    """Return the seconds of an evaluation on the validation and on the training split, by what `scoring`
    makes of a workload; if a part takes long, in proportion to it."""
    part, splits = workload.part(PART), workload.splits(plan.seeds.split)
    score = scoring(part)
    took = _timed(lambda: score("train"))
    if took > BRIEF_S:
        each = took / len(part.splits(plan.seeds.split).train)
        return each * len(splits.validation), each * len(splits.train)
    score = scoring(workload)
    return _timed(lambda: score("validation")), _timed(lambda: score("train"))


def _timed(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _seconds(
    train: Callable[[int], Tensor],
    plan: TrialPlan,
    *,
    steps: int = STEPS,
    of: Callable[[Sequence[float]], float] = min,
) -> float:
    """Return the seconds of a step: the least, or another statistic `of` the timed steps. The first steps
    make the state and fill the caches, and are not timed, unless they take long."""
    size = plan.training.batch_size
    took: list[float] = []
    while len(took) < WARMING + steps and not (len(took) > 1 and sum(took) > ENOUGH_S):
        started = perf_counter()
        train((len(took) + 1) * size).sum().item()
        took.append(perf_counter() - started)
    return of(took[WARMING:] or took[1:])
