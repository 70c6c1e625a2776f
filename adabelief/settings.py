"""The settings of a parameter group: which there are, and what each may be."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from torch import Tensor

__all__ = ["OTHER_NAMES", "check", "plain"]

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
OTHER_NAMES: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "weight_decouple": ("decoupled_weight_decay", bool),
    "decoupled_decay": ("decoupled_weight_decay", bool),
    "degenerated_to_sgd": ("rectify_fallback", lambda on: "sgd" if on else "skip"),
    "ams_bound": ("amsgrad", bool),
}
"""What other packages call a setting: its name here, and their value in ours."""


def check(group: Mapping[str, Any]) -> None:
    """Refuse settings that are out of their range, or that do not go together.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
        RuntimeError: for two ways of computing that exclude each other, as torch does.
    """
    for name, (ours, _) in OTHER_NAMES.items():
        if name in group:
            raise ValueError(
                f"{name} is another package's name: here it is {ours}, see AdaBelief's arguments"
            )
    lr, betas = group["lr"], _pair(group["betas"])
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError(f"Tensor lr must be 1-element, got one of shape {tuple(lr.shape)}")
        lr = lr.item()
    _check_number("lr", lr)
    if betas is None:
        raise ValueError(f"betas must be two numbers (beta1, beta2), got {group['betas']!r}")
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


def plain(group: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a group that has been checked, as Python's own: those of numpy count in their own
    precision, and a checkpoint that has one is not loaded with ``weights_only=True``."""
    numbers = {name: group[name] for name in ("lr", "eps", "weight_decay") if name in group}
    python_numbers: dict[str, Any] = {
        name: _number(x) for name, x in numbers.items() if not isinstance(x, Tensor)
    }
    if "betas" in group:
        beta1, beta2 = group["betas"]
        python_numbers["betas"] = (_number(beta1), _number(beta2))
    return python_numbers


def _number(x: Any) -> int | float:
    return x if type(x) in (int, float) else float(x)


def _pair(betas: Any) -> tuple[Any, Any] | None:
    """The two of any sequence of two, such as a list or an array; None of all else."""
    if isinstance(betas, str | bytes | Mapping | Tensor) or not hasattr(betas, "__getitem__"):
        return None
    try:
        return (betas[0], betas[1]) if len(betas) == 2 else None
    except TypeError:  # an array of no dimension
        return None
