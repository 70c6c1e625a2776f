"""The learning rate over a trial, as a factor of `lr` and a function of the examples seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from whichopt.service.trials import Schedule

Shape = Callable[[float, float], float]
"""The factor after the warm-up, from the share of what follows it that is over, and the share of what
follows it that `decay` takes up."""

SHAPES: Mapping[str, Shape] = {
    "constant": lambda over, decay: 1.0,  # noqa: ARG005
    "cosine": lambda over, decay: 0.5 * (1 + math.cos(math.pi * over)),  # noqa: ARG005
    "linear": lambda over, decay: 1 - over,  # noqa: ARG005
    "trapezoid": lambda over, decay: min(1.0, (1 - over) / decay),
}


def factor(schedule: Schedule, examples: float, length: int) -> float:
    """Return the factor of `lr` after `examples` of `length` have been seen; in [0, 1].

    A step takes it at the middle of its batch, so that neither the first step of a warm-up nor the last of
    a decay is one of length 0, whatever the batch size.
    """
    at = examples / length
    if at < schedule.warmup:
        return at / schedule.warmup
    rest = 1 - schedule.warmup
    return SHAPES[schedule.name]((at - schedule.warmup) / rest, schedule.decay / rest)
