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
from whichopt.workers.engine.growing import growth, together
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
    """`seconds` is what a step of one trial took, by executor; empty if that did not decide it.

    If trials have batches of other sizes than asked about, it is what as many examples took.
    """

    executor: ExecutorName
    seconds: dict[str, float]


def choose(
    workload: Workload, plans: Sequence[TrialPlan], *, measured: bool = True, size: int | None = None
) -> Choice:
    """Return the faster executor for trials like `plans`, all of which can be stacked.

    If the trials will be trained on another device than this process has, times say nothing: then, not
    `measured`, they are stacked. Those whose batches have other sizes are never in one stack, and are tried
    apart. `size` is the number of examples that seconds are told of; by default those of the first's batch.
    """
    if STACKING is None:
        return Choice("solo", {})
    if not measured:
        return Choice("stacked", {})
    kinds = list({(plan.optimizer, together(plan)): plan for plan in plans}.values())
    told = kinds[0].training.batch_size if size is None else size
    first = _seconds(TrialRun(workload, kinds[0]).train, kinds[0])
    if first > SLOW_S:
        return _too_slow(first, kinds[0], told)
    alike: dict[object, list[TrialPlan]] = {}
    for plan in kinds:
        alike.setdefault(together(plan), []).append(plan)
    took = {"solo": 0.0, "stacked": 0.0}
    for members in alike.values():
        others = members[1:] if members[0] is kinds[0] else members
        known = [first] if members[0] is kinds[0] else []
        solo = fmean([*known, *(_seconds(TrialRun(workload, plan).train, plan) for plan in others)])
        stacked = _stacked_seconds(workload, members, solo)
        if stacked is None:
            return Choice("solo", {})
        share = len(members) / len(kinds) * told / members[0].training.batch_size
        took["solo"] += share * solo
        took["stacked"] += share * stacked
    return Choice("solo" if took["solo"] <= took["stacked"] else "stacked", took)


def _stacked_seconds(workload: Workload, kinds: Sequence[TrialPlan], solo: float) -> float | None:
    """Return the seconds of a step of one trial in a stack of these, whose steps take `solo` alone; None if
    there was no memory for one."""
    assert STACKING is not None
    try:
        most = STACKING.footprint(workload, kinds).most(workload.device)
        size = min(STACKED if solo < LONG_S else max(FEW, len(kinds)), most)
        tried = [kinds[at % len(kinds)] for at in range(size)]
        tried.sort(key=lambda plan: plan.optimizer)
        stack = STACKING.rehearsal(workload, tried, block=size)
        return _seconds(stack.train, tried[0]) / size
    except torch.OutOfMemoryError as error:  # somebody else has taken what was free when it was asked for
        log.warning("no_memory_for_a_stack", reason=in_line(error))
        return None


def choose_untried(
    workload: Workload, plans: Sequence[TrialPlan], *, size: int | None = None
) -> Choice | None:
    """Return solo for trials of a network of which it is not known whether it can be stacked, if a step takes
    so long that none would be; to find it out would take as long as several steps of each way.

    `size` is the number of examples that its seconds are told of, as those of `choose`.
    """
    if STACKING is None or STACKING.made_of_layers(workload):
        return None
    seconds = _seconds(TrialRun(workload, plans[0]).train, plans[0])
    return _too_slow(seconds, plans[0], size) if seconds > SLOW_S else None


def _too_slow(seconds: float, plan: TrialPlan, size: int | None) -> Choice:
    own = plan.training.batch_size
    return Choice("solo", {"solo": seconds * (size or own) / own})


@dataclass(frozen=True)
class TrainingCost:
    """Seconds that a trial keeps a worker. In a stack, its share of them.

    They are those of a batch, or of a part of one that grows, of an evaluation on a validation split, and of
    the one on the training split at its end.
    """

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

    def kind(plan: TrialPlan) -> tuple[object, ...]:
        return plan.optimizer, plan.training, executors[plan.label]

    cost_of: dict[tuple[object, ...], TrainingCost] = {}
    for plan in {kind(plan): plan for plan in plans}.values():
        executor, beside = executors[plan.label], [one for one in plans if together(one) == together(plan)]
        cost_of[kind(plan)] = (
            _solo_cost(workload, plan)
            if executor == "solo"
            else _stacked_cost(workload, plan, beside, executor)
        )
    return {plan.label: cost_of[kind(plan)] for plan in plans}


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
    make the state and fill the caches, and are not timed, unless they take long.

    A step of a batch that grows is that of its first one, and its seconds are those of each part."""
    grown = growth(plan.training)
    size = plan.training.batch_size if grown is None else grown.first
    took: list[float] = []
    while len(took) < WARMING + steps and not (len(took) > 1 and sum(took) > ENOUGH_S):
        started = perf_counter()
        train((len(took) + 1) * size).sum().item()
        took.append(perf_counter() - started)
    return of(took[WARMING:] or took[1:]) * plan.training.batch_size / size
