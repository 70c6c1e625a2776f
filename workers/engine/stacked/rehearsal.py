"""A stack that is tried for a few steps: to count the memory that it takes, or to time it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from whichopt.service.batches import LEAST_PARTS, GrowingBatch
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Schedule, Seeds, Training, TrialPlan
from whichopt.workers.engine.entries import optimizer
from whichopt.workers.engine.stacked.memory import Footprint, Tracker
from whichopt.workers.engine.stacked.nets import nets
from whichopt.workers.engine.stacked.run import Run
from whichopt.workers.engine.stacked.stack import LEAST
from whichopt.workers.workload import Workload


def rehearsal(workload: Workload, plans: Sequence[TrialPlan], *, block: int) -> Run:
    """Return a stack of these trials at their start; `block` of them are evaluated at once."""
    return Run(workload, nets(workload), plans, range(len(plans)), None, block)


def footprint(workload: Workload, plans: Sequence[TrialPlan]) -> Footprint:
    """Return what memory a trial like these takes, on the average of their optimizers.

    Their batches must be as large; how they grow and what lowers the learning rate takes no memory.
    """
    names = sorted({plan.optimizer for plan in plans})
    first = plans[0].training
    training = Training(
        batch_size=first.batch_size,
        schedule=Schedule(name="constant"),
        clip_norm=first.clip_norm,
        compiled=first.compiled,
        growing=None if first.growing is None else _steady(first.batch_size),
    )
    return _footprint(workload, training, tuple(names * LEAST if len(names) < LEAST else names))


def _steady(micro: int) -> GrowingBatch:
    """Return a batch that is gathered from parts of that size, and is full as soon as one may be."""
    size = LEAST_PARTS * micro
    return GrowingBatch(eta=0.5, start=size, growth=2.0, most=size)


@lru_cache(maxsize=16)
def _footprint(workload: Workload, training: Training, names: Sequence[str]) -> Footprint:
    """Return what is found by two steps and an evaluation of a small stack, of which every tensor is counted.

    An evaluation is one of as many examples as are evaluated at once, however many there are.
    """
    rows, size = len(names), training.batch_size
    if training.growing is not None:
        size = training.growing.start
    workload = workload.part(max(workload.evaluated, 2 * size))
    plans = [
        TrialPlan(
            label=name,
            optimizer=name,
            config=optimizer(name).default,
            training=training,
            seeds=Seeds(init=row, order=row, split=0),
            length=4 * size,
            evaluations=(4 * size,),
            phase=Phase.SEARCH,
            origin=Origin.DEFAULT,
            replicate=0,
            number=row,
        )
        for row, name in enumerate(names)
    ]
    workload.splits(0)
    with Tracker() as tracker:
        run = rehearsal(workload, plans, block=rows)
        stepping = tracker.peak_of(lambda: run.train(2 * size))
        resting = tracker.bytes
        evaluating = tracker.peak_of(lambda: run.scores()(0, "train", workload.followed)) - resting
    return Footprint(resting // rows, stepping // rows, evaluating // rows)
