"""Rehearsals of small functions, and what they find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tests.builders.optimizers import scheduled
from tests.builders.training_functions import ROWS, X, Y, epoch, guest, score
from tests.builders.trials import spec_of
from whichopt.service.guests import Rehearsed
from whichopt.service.spec.resolved import ResolvedOptimizer
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.rehearsal import rehearse
from whichopt.workers.guests.run import Run

Function = Callable[[Run], object]


def optimizers(*names: str) -> tuple[ResolvedOptimizer, ...]:
    chosen = names or ("adamw", "sgd")
    return spec_of(*chosen, **scheduled(*chosen)).optimizers


def found(
    function: Function, *names: str, how: str = "fork", check: Any = "error", **parts: Any
) -> Rehearsed:
    executor = GuestExecutor(isolation=how)  # type: ignore[arg-type]
    return rehearse(guest(function, **parts), optimizers(*names), executor, check=check)


def codes(rehearsed: Rehearsed) -> list[str]:
    return [finding.code for finding in rehearsed.findings]


def trained(
    run: Run,
    model: nn.Module | None = None,
    *,
    begin: Callable[[torch.optim.Optimizer], object] = lambda _: None,
    groups: Callable[[nn.Module], Any] = lambda model: model,
    shuffled: bool = True,
    **options: Any,
) -> None:
    """A function without fault but for what the arguments bring in."""
    model = nn.Linear(3, 1) if model is None else model
    rows = range(32)
    optimizer = run.optimizer(groups(model), **options)
    begin(optimizer)
    for _ in run.epochs:
        if shuffled:
            epoch(model, optimizer, rows)
        else:
            optimizer.zero_grad()
            torch.autograd.backward(F.mse_loss(model(X[:32]), Y[:32]))
            optimizer.step()
        run.report(loss=score(model, range(32, 40)))
    run.test(lambda: score(model, range(40, ROWS)))
