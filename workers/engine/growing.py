"""Growing batches in the engine: what a plan says of them, as `adadagrad` takes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from torch import Tensor

from adadagrad import AdaptiveBatch, Growth
from whichopt.service.batches import NOISE_CURVE, SIZE_CURVE
from whichopt.service.trials import Training, TrialPlan
from whichopt.workers.engine.schedule import factor


def growth(training: Training) -> Growth | None:
    """Return the way in which the batches of a plan grow; None if their size is fixed."""
    grown = training.growing
    if grown is None:
        return None
    return Growth(grown.eta, grown.start, grown.growth, grown.most, micro=training.batch_size)


def share(plan: TrialPlan, seen: int, filled: int | None) -> float | None:
    """Return the share of the learning rate of a step; None if there is none.

    Args:
        plan: the trial.
        seen: the examples that it has seen by then.
        filled: those of them that are in its batch; None if the batch is not full.
    """
    if filled is None:
        return None
    return factor(plan.training.schedule, seen - filled / 2, plan.length)  # at the middle of its batch


def adaptive_batch(training: Training, params: Iterable[Tensor]) -> AdaptiveBatch | None:
    """Return the batch of one trial, which is gathered; None if its size is fixed."""
    how = growth(training)
    return None if how is None else AdaptiveBatch(params, how)


def gauges(batch: AdaptiveBatch | None) -> Mapping[str, float]:
    """Return what the curves show of a batch that grows."""
    return {} if batch is None else shown(batch.size, batch.test)


def shown(size: int, test: float | None) -> Mapping[str, float]:
    """Return a batch size and its last test as points of curves; a test is none if the gradient was 0."""
    tested = {} if test is None or not math.isfinite(test) else {NOISE_CURVE: test}
    return {SIZE_CURVE: float(size), **tested}


def together(plan: TrialPlan) -> tuple[object, ...]:
    """Return what plans have in common that can be stacked: they see the same examples at the same times."""
    training = plan.training
    return training.batch_size, training.growing is None, plan.length, plan.evaluations
