"""The two groups of params of a class that tells matrices apart, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from whichopt.service.catalog.optimizer_entry import Build
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import optimizers
from whichopt.workers.engine.optimizers import groups
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.guests.optimizers import made
from whichopt.workers.workload import Workload

APART = Build(target="pytorch_optimizer.Muon", matrices="use_muon")
NETWORK = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
FLAGS = {"0.weight": True, "0.bias": False, "2.weight": True, "2.bias": False}


def flags(found: list[dict[str, Any]]) -> dict[str, bool]:
    """Whether each param of the network is in the group of matrices."""
    names = {id(param): name for name, param in NETWORK.named_parameters()}
    return {
        names[id(optimizers.tensor_of(param))]: group["use_muon"]
        for group in found
        for param in group["params"]
    }


@pytest.mark.parametrize("given", [NETWORK.parameters(), NETWORK.named_parameters()])
def test_weights_are_matrices_and_the_others_are_not(given: Any) -> None:
    assert flags(groups(APART, given)) == FLAGS


def test_a_persons_groups_are_divided_and_keep_what_they_say() -> None:
    body, head = ({"params": NETWORK[0].parameters(), "lr": 0.5}, {"params": NETWORK[2].weight})
    found = groups(APART, [body, head])
    assert [group.get("lr") for group in found] == [0.5, 0.5, None]
    assert flags(found) == {name: FLAGS[name] for name in ("0.weight", "0.bias", "2.weight")}


def test_a_group_that_says_it_itself_is_left_as_it_is() -> None:
    head = {"params": [NETWORK[2].weight], "use_muon": False}
    assert flags(groups(APART, [head])) == {"2.weight": False}


def test_a_class_that_takes_all_params_is_given_them_as_they_are() -> None:
    params = list(NETWORK.parameters())
    assert groups(Build(target="torch.optim.Adam"), iter(params)) == params


def test_each_group_follows_the_schedule_from_its_own_learning_rate(
    make_workload: Callable[..., Workload], make_plan: Callable[..., TrialPlan]
) -> None:
    """By the middle of the first step of a linear fall over 10 steps: 95% of each."""
    plan = make_plan("muon", schedule={"name": "linear", "warmup": 0.0}, batch_size=16, length=160)
    trial = TrialRun(make_workload(), plan)
    trial.train(16)
    (learner,) = trial.learners
    found = [group["lr"] for group in learner.optimizer.param_groups]
    default = optimizer("muon").default
    assert found == pytest.approx([0.95 * float(default[name]) for name in ("lr", "adamw_lr")])


def test_a_persons_own_function_gets_both_groups_and_may_leave_the_decay_to_matrices() -> None:
    entry = optimizer("muon")
    found = made(entry.facts, entry.default, NETWORK, no_decay=True, options={})
    assert [(group["use_muon"], group["weight_decay"]) for group in found.param_groups] == [
        (True, entry.default["weight_decay"]),
        (False, 0.0),
    ]
    for param in NETWORK.parameters():
        param.grad = torch.ones_like(param)
    found.step()
