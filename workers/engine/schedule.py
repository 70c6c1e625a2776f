"""The learning rate over a trial, as a factor of `lr` and a function of the examples seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from whichopt.service.trials import Schedule

Shape = Callable[[Schedule, float], float]
"""The factor after the warm-up, from the share of the budget that is over."""


def _over(schedule: Schedule, at: float) -> float:
    """Return the share that is over of what follows the warm-up."""
    return (at - schedule.warmup) / (1 - schedule.warmup)


def _trapezoid(schedule: Schedule, at: float) -> float:
    decay = schedule.decay / (1 - schedule.warmup)
    return min(1.0, (1 - _over(schedule, at)) / decay)


def _step(schedule: Schedule, at: float) -> float:
    assert schedule.milestones is not None
    assert schedule.factor is not None
    return schedule.factor ** sum(at >= milestone for milestone in schedule.milestones)


SHAPES: Mapping[str, Shape] = {
    "constant": lambda schedule, at: 1.0,  # noqa: ARG005
    "cosine": lambda schedule, at: 0.5 * (1 + math.cos(math.pi * _over(schedule, at))),
    "linear": lambda schedule, at: 1 - _over(schedule, at),
    "trapezoid": _trapezoid,
    "step": _step,
}


def factor(schedule: Schedule, examples: float, length: int) -> float:
    """Return the factor of `lr` after `examples` of `length` have been seen; in [0, 1].

    A step takes it at the middle of its batch, so that neither the first step of a warm-up nor the last of
    a decay is one of length 0, whatever the batch size.
    """
    at = examples / length
    if at < schedule.warmup:
        return at / schedule.warmup
    return SHAPES[schedule.name](schedule, at)
