"""The settings of a parameter group: which there are, and what each may be."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from torch import Tensor

__all__ = ["FILLED_IN", "check"]

FLAGS = (
    "decoupled_weight_decay",
    "fixed_decay",
    "rectify",
    "amsgrad",
    "maximize",
    "capturable",
    "differentiable",
)
CHOICES: Mapping[str, tuple[str, ...]] = {"foreach": (), "fused": ("torch",)}
FALLBACKS = ("sgd", "skip")
FILLED_IN = ("weight_decay", "rectify_fallback", *FLAGS, *CHOICES)
"""Settings that checkpoints of other or older optimizers may lack; the loading optimizer's own are taken."""


def check(group: Mapping[str, Any]) -> None:
    """Refuse settings that are out of their range, or that do not go together.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
        RuntimeError: for two ways of computing that exclude each other, as torch does.
    """
    lr, betas = group["lr"], group["betas"]
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError(f"Tensor lr must be 1-element, got one of shape {tuple(lr.shape)}")
        lr = lr.item()
    _check_number("lr", lr)
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas must be two numbers (beta1, beta2), got {betas!r}")
    if betas[0] == 0:
        raise ValueError(
            f"betas[0] must be a number in (0, 1), got {betas[0]!r}: without memory the gradient is its own "
            "mean, nothing deviates from it, and only eps bounds the step"
        )
    _check_number("betas[0]", betas[0], below=1, interval="(0, 1)")
    _check_number("betas[1]", betas[1], below=1, interval="[0, 1)")
    _check_number("eps", group["eps"])
    _check_number("weight_decay", group["weight_decay"])
    for name in FLAGS:
        if not isinstance(group[name], bool):
            raise ValueError(f"{name} must be True or False, got {group[name]!r}")
    for name, others in CHOICES.items():
        if group[name] is not None and not isinstance(group[name], bool) and group[name] not in others:
            allowed = ", ".join(("True", "False", *map(repr, others)))
            raise ValueError(f"{name} must be {allowed} or None, got {group[name]!r}")
    if group["rectify_fallback"] not in FALLBACKS:
        raise ValueError(f"rectify_fallback must be 'sgd' or 'skip', got {group['rectify_fallback']!r}")
    if group["fused"] and group["foreach"]:
        raise RuntimeError("fused and foreach cannot both be on: each is a way of computing the step")
    if group["differentiable"] and (group["fused"] or group["foreach"]):
        name = "fused" if group["fused"] else "foreach"
        raise RuntimeError(
            f"differentiable=True cannot be had with {name}={group[name]!r}, whose copies autograd cannot see"
        )


def _check_number(name: str, value: object, below: float = math.inf, interval: str = "[0, inf)") -> None:
    if not isinstance(value, Real) or not 0 <= float(value) < below:  # so that nan is refused as well
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")
