"""Optimizers that no version of the catalog has, as somebody would add them: a class each, and its entry.

SIGN_DESCENT has what no entry of today has: hyperparameters of its own (a number, a whole number, a word),
and a weight decay without an eps and without a translation. TWO_FACED has the capabilities that no entry of
today has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from whichopt.service.catalog import optimizers
from whichopt.service.catalog.optimizer_entry import Build, OptimizerEntry
from whichopt.service.space import Categorical, Float, Int


class SignDescent(Optimizer):
    """Step by the sign of the gradient.

    The sign is taken anew every `refresh` steps. Entries within `deadband` rest, or follow their last sign.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        deadband: float = 0.0,
        refresh: int = 1,
        within: str = "rest",
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "deadband": deadband,
            "refresh": refresh,
            "within": within,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            for param in (param for param in group["params"] if param.grad is not None):
                state: dict[str, Any] = self.state[param]
                if not state:
                    state |= {"step": 0, "sign": torch.zeros_like(param)}
                if state["step"] % group["refresh"] == 0:
                    gradient = param.grad.add(param, alpha=group["weight_decay"])
                    last = state["sign"] if group["within"] == "follow" else torch.zeros_like(param)
                    outside = gradient.abs() > group["deadband"]
                    state["sign"].copy_(torch.where(outside, gradient.sign(), last))
                state["step"] += 1
                param.add_(state["sign"], alpha=-group["lr"])


SIGN_DESCENT = OptimizerEntry(
    name="sign-descent",
    title="Sign descent",
    build=Build(target="tests.builders.optimizers.SignDescent"),
    default={"lr": 1e-2, "deadband": 0.0, "refresh": 1, "within": "rest", "weight_decay": 0.0},
    space={
        "lr": Float(low=1e-4, high=1e-1, scale="log"),
        "deadband": Float(low=0.0, high=1e-3),
        "refresh": Int(low=1, high=4),
        "within": Categorical(choices=("rest", "follow")),
        "weight_decay": Float(low=1e-7, high=1e-2, scale="log"),
    },
    own_limits={
        "deadband": Float(low=0.0, high=1.0),
        "refresh": Int(low=1, high=1000),
        "within": Categorical(choices=("rest", "follow")),
    },
    state_bytes=4,
    source="invented for the tests",
)


class TwoFaced(Optimizer):
    """Step by the gradient, and show zeros while the model is evaluated.

    As of optimizers without a schedule, its params are set by `train` and `eval`, and it steps in training
    alone.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-2) -> None:
        super().__init__(params, {"lr": lr, "training": False})

    @torch.no_grad()
    def train(self) -> None:
        for group in self.param_groups:
            if not group["training"]:
                for param in group["params"]:
                    param.add_(self.state[param].pop("aside", torch.zeros_like(param)))
            group["training"] = True

    @torch.no_grad()
    def eval(self) -> None:
        for group in self.param_groups:
            if group["training"]:
                for param in group["params"]:
                    self.state[param]["aside"] = param.clone()
                    param.zero_()
            group["training"] = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            assert group["training"]
            for param in (param for param in group["params"] if param.grad is not None):
                param.add_(param.grad, alpha=-group["lr"])


TWO_FACED = OptimizerEntry(
    name="two-faced",
    title="Two-faced",
    build=Build(target="tests.builders.optimizers.TwoFaced"),
    default={"lr": 1e-2},
    space={"lr": Float(low=1e-4, high=1.0, scale="log")},
    state_bytes=4,
    source="invented for the tests",
    modes=True,
    own_schedule=True,
)


MOST = 16
"""Most optimizers that a job may name."""


def scheduled(*names: str) -> dict[str, Any]:
    """What a job of these optimizers says of its schedule: constant if one of them brings its own."""
    own = any(optimizers.optimizer(name).own_schedule for name in names)
    return {"schedule": "constant"} if own else {}


def in_jobs(names: Sequence[str]) -> list[list[str]]:
    """The names in as many jobs as it takes."""
    return [list(names[start : start + MOST]) for start in range(0, len(names), MOST)]


def add_to_catalog(monkeypatch: pytest.MonkeyPatch, *entries: OptimizerEntry) -> None:
    """Have the catalog hold those entries as well, as the last ones, until the test is over."""
    monkeypatch.setattr(optimizers, "OPTIMIZERS", (*optimizers.OPTIMIZERS, *entries))
