"""The parts of a config that are not its optimizer's: the batch size, fixed or growing, and the schedule.

A label's space may open them like hyperparameters. `TRAINING` are those that a job sets for all of its labels
otherwise; `GROWING` are those of a batch size that grows, of which no class takes an argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from whichopt.service.space import Categorical, Config, Dimension, Float, Int, Value

MOST = 65536
"""Most examples of a batch."""

LEAST_PARTS = 4
"""Fewest micro-batches in a batch: the variance among fewer says little."""

ScheduleName = Literal["constant", "cosine", "linear", "trapezoid", "step"]

TRAINING: Mapping[str, Dimension] = {
    "batch_size": Int(low=1, high=MOST),
    "schedule": Categorical(choices=get_args(ScheduleName)),
    "warmup": Float(low=0.0, high=0.5),
}
"""Limits of what a job sets for all labels, unless a label's space has it."""

GROWING: Mapping[str, Dimension] = {
    "batch_eta": Float(low=1e-3, high=0.999),
    "batch_start": Int(low=LEAST_PARTS, high=MOST),
    "batch_growth": Float(low=1.25, high=1024.0),
    "batch_max": Int(low=LEAST_PARTS, high=MOST),
    "batch_micro": Int(low=1, high=MOST // LEAST_PARTS),
}
"""Limits of a growing batch size; see `GrowingBatch`."""

GROWING_DEFAULT: Mapping[str, Value] = {
    "batch_eta": 0.5,
    "batch_start": 32,
    "batch_growth": 2.0,
    "batch_micro": 8,
}
"""Values of what nobody has said of a growing batch size; its maximum is half of the training split."""

TRAINING_LIMITS: Mapping[str, Dimension] = {**TRAINING, **GROWING}

WORDS: Mapping[str, str] = {
    "batch_size": "examples of a step",
    "schedule": "the learning rate over a trial, as a factor of lr",
    "warmup": "share of a trial over which the learning rate rises",
    "batch_eta": "most noise of a batch's gradient, as a share of its length",
    "batch_start": "examples of the first batch",
    "batch_growth": "most by which a batch may grow at once, as a factor",
    "batch_max": "most examples of a batch",
    "batch_micro": "examples that are added to a batch at a time",
}
"""What the values of a config are that no class takes as arguments."""

SIZE_CURVE, NOISE_CURVE = "train.batch_size", "train.noise"
"""The curves of a growing batch: its size from there on, and its noise at the last test (1 is allowed)."""


class GrowingBatch(BaseModel):
    """A batch size that grows with the noise of the gradient (arXiv 2402.11215).

    A batch is gathered from micro-batches. At each step the norm test compares the variance of the gradient,
    as the micro-batches show it, with `eta` times the gradient's length. If there is more noise than that,
    the next batch has as many examples as would make it so small, but at most `growth` times as many as this
    one, and at most `most`. A batch size never shrinks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    eta: float = Field(gt=0, lt=1, allow_inf_nan=False)
    start: int = Field(ge=LEAST_PARTS, le=MOST)
    growth: float = Field(gt=1, allow_inf_nan=False)
    most: int = Field(ge=LEAST_PARTS, le=MOST)

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.most < self.start:
            raise ValueError(f"most is {self.most}, but the batch starts with {self.start} examples")
        return self


def grows(config: Mapping[str, object]) -> bool:
    """Tell if the batch size of a config, or of a space, grows."""
    return any(name in config for name in GROWING)


def first_size(config: Mapping[str, Any]) -> int:
    """Return the examples of the first batch of a complete config whose batches grow: whole micro-batches."""
    micro = int(config["batch_micro"])
    return math.ceil(int(config["batch_start"]) / micro) * micro


def last_size(config: Mapping[str, Any]) -> int:
    """Return the most examples that a batch of such a config can have."""
    micro = int(config["batch_micro"])
    return max(first_size(config), int(config["batch_max"]) // micro * micro)


def growing_batch(config: Config) -> GrowingBatch | None:
    """Return the growing batch size of a complete config; None if its batch size is fixed."""
    if not grows(config):
        return None
    return GrowingBatch(
        eta=float(config["batch_eta"]),
        start=int(config["batch_start"]),
        growth=float(config["batch_growth"]),
        most=int(config["batch_max"]),
    )
