"""A searched value that is overridden in silence is found, and a person's own way of using it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.builders.rehearsals import Function, codes, found, trained
from whichopt.service.errors import SettingOverridden
from whichopt.workers.guests.run import Run


def one_cycle(run: Run, **parts: Any) -> Callable[[torch.optim.Optimizer], object]:
    del run
    return lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, total_steps=10, **parts)


def overridden_lr(run: Run) -> None:
    trained(run, begin=one_cycle(run, max_lr=1e-3, cycle_momentum=False))


def overridden_momentum(run: Run) -> None:
    trained(run, begin=one_cycle(run, max_lr=run.lr))


def overridden_decay(run: Run) -> None:
    trained(run, groups=lambda model: [{"params": model.parameters(), "weight_decay": 0.0}])


def fixed_lr(run: Run) -> None:
    trained(run, groups=lambda model: [{"params": [one], "lr": 1e-3} for one in model.parameters()])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (overridden_lr, "max_lr=run.lr"),
        (overridden_momentum, "cycle_momentum=False"),
        (overridden_decay, r"weight_decay is searched, but trains as 0, .*optimizers=\(run.optimizer"),
        (fixed_lr, "lr is searched, but trains as 0.001, and the trial has 0.00083"),
    ],
)
def test_a_setting_that_is_overridden_in_silence(function: Function, said: str) -> None:
    with pytest.raises(SettingOverridden, match=said):
        found(function)
    assert "setting_overridden" in codes(found(function, check="warn"))


def own_one_cycle(run: Run) -> None:
    trained(run, begin=one_cycle(run, max_lr=run.lr, cycle_momentum=False))


def own_warm_up(run: Run) -> None:
    def begin(optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * 0.1

    trained(run, begin=begin)


def own_lambda(run: Run) -> None:
    trained(
        run, begin=lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.01 * step)
    )


def no_decay(run: Run) -> None:
    trained(run, no_decay=True)


def large_head(run: Run) -> None:
    trained(
        run,
        groups=lambda model: [{"params": [model.weight]}, {"params": [model.bias], "lr": 10 * run.lr}],
    )


def scheduled(run: Run) -> None:
    trained(run, begin=lambda optimizer: run.scheduler(optimizer, 2))


@pytest.mark.parametrize(
    "function", [own_one_cycle, own_warm_up, own_lambda, no_decay, large_head, scheduled]
)
def test_a_setting_that_is_a_persons_own_way(function: Function) -> None:
    told = found(function)
    assert codes(told) == []
    assert told.scheduled == (function is scheduled)
