"""A first gradient that is not finite: every optimizer's trial diverges, and fails nobody."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.states import TrialState
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import optimizers
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.workload import Batch, Carry, Net, Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]


@pytest.fixture
def unbounded(make_workload: MakeWorkload) -> Workload:
    """A workload whose loss is infinite from the start."""
    whole = make_workload("wine", "mlp", hidden=[8])
    (player,) = whole.players

    def loss(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        found, carry = player.loss(net, batch, carry)
        return found * math.inf, carry

    return dataclasses.replace(whole, players=(dataclasses.replace(player, loss=loss, slope=None),))


@pytest.mark.parametrize("executor", list(EXECUTORS))
def test_every_optimizers_trial_diverges(
    executor: str, unbounded: Workload, make_plan: MakePlan, watch: Any
) -> None:
    names = [entry.name for entry in OPTIMIZERS if entry.stackable or executor == "solo"]
    plans = [make_plan(name, length=32, evaluations=(32,)) for name in names]
    results = EXECUTORS[executor]().run(unbounded, plans, watch)
    assert {result.state for result in results} == {TrialState.DIVERGED}


def test_an_error_that_no_gradient_explains_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    param = torch.nn.Parameter(torch.ones(2))
    param.grad = torch.ones(2)
    broken = torch.optim.SGD([param], lr=0.1)

    def fail() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(broken, "step", fail)
    with pytest.raises(RuntimeError, match="broken"):
        optimizers.step(broken)
    assert param.isfinite().all()
