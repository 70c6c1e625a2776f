"""Ranges and settings that several optimizers share."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.space import Categorical, Dimension, Float, Value

BETAS: Mapping[str, tuple[str, ...]] = {"betas": ("beta1", "beta2")}


def log(low: float, high: float) -> Float:
    return Float(low=low, high=high, scale="log")


def log1m(low: float, high: float) -> Float:
    return Float(low=low, high=high, scale="log1m")


ADAM_SPACE: Mapping[str, Dimension] = {
    "lr": log(1e-5, 1e-1),
    "beta1": log1m(0.5, 0.99),
    "beta2": log1m(0.8, 0.9995),
    "eps": log(1e-10, 1e-1),
    "weight_decay": log(1e-7, 1e-2),
}
ADAM_DEFAULT: Mapping[str, Value] = {
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "weight_decay": 0.0,
}
QHADAM_SPACE: Mapping[str, Dimension] = {
    **ADAM_SPACE,
    "lr": log(1e-5, 3e-2),
    "beta1": log1m(0.8, 0.999),
    "beta2": log1m(0.9, 0.9995),
    "nu1": Float(low=0.3, high=1.0),
    "nu2": Float(low=0.5, high=1.0),
}
QHADAM_DEFAULT: Mapping[str, Value] = {**ADAM_DEFAULT, "beta1": 0.995, "nu1": 0.7, "nu2": 1.0}
DECOUPLED = log(1e-4, 1.0)
"""Range of a weight decay that shrinks the params by lr * weight_decay (AdamW's sense)."""

GROWING_SPACE: Mapping[str, Dimension] = {
    "batch_eta": log(0.05, 0.95),
    "batch_start": Categorical(choices=(32, 64)),
    "batch_growth": Categorical(choices=(2.0, 4.0)),
}
"""How a batch may grow: for all whose batches do."""
