"""The start record: what pairs trials, seen by hooks, whatever the optimizer is wrapped in."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.builders.training_functions import X, Y, at_first_step, plan, run_of, told_of
from whichopt.workers.guests.run import Run


def start_of(run: Run, told: list[Any]) -> dict[str, Any]:
    (start,) = told_of(told, "start")
    assert run.facts()["steps"] >= 1
    return dict(start)


def started(name: str, seed: int, **config: Any) -> dict[str, Any]:
    run, told = run_of(plan(name, seed=seed, config=config))
    at_first_step(run, nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 1)))
    return start_of(run, told)


def test_the_same_seed_starts_alike_whatever_the_optimizer() -> None:
    one, other, elsewhere = started("adam", 1), started("sgd", 1, lr=0.5), started("adam", 2)
    for part in ("params", "gradient", "generators", "count"):
        assert one[part] == other[part]
    assert one["params"] != elsewhere["params"]
    assert one["gradient"] != elsewhere["gradient"]
    assert all(
        one["generators"][name] != elsewhere["generators"][name] for name in ("torch", "numpy", "python")
    )
    assert one["count"] == 12 + 4 + 8 + 5


def test_the_settings_of_groups_are_as_torch_spells_them() -> None:
    run, told = run_of(plan("adamw", config={"lr": 0.01, "weight_decay": 0.5}))
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model, no_decay=True, capturable=False)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + step)
    model(X).sum().backward()
    optimizer.step()
    scheduler.step()
    first, second = start_of(run, told)["groups"]
    assert (first["lr"], first["initial_lr"], first["betas"]) == (0.005, 0.01, [0.9, 0.999])
    assert (first["weight_decay"], second["weight_decay"]) == (0.5, 0.0)
    assert "params" not in first


def test_only_what_is_trained_is_hashed() -> None:
    def with_frozen(value: float) -> dict[str, Any]:
        run, told = run_of(plan())
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
        nn.init.constant_(model[0].weight, value)  # type: ignore[arg-type]
        model[0].requires_grad_(False)
        optimizer = run.optimizer(model)
        torch.autograd.backward(model[1](X).mean())
        optimizer.step()
        return start_of(run, told)

    one, other = with_frozen(1.0), with_frozen(2.0)
    assert one["params"] == other["params"]
    assert one["gradient"] == other["gradient"]
    assert one["count"] == 4


@pytest.mark.parametrize("by_name", [False, True])
def test_a_closure_is_looked_into(by_name: bool) -> None:
    def gradient(closure_made: bool) -> dict[str, Any]:
        run, told = run_of(plan("sgd"))
        model = nn.Linear(3, 1)
        optimizer = run.optimizer(model)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(X), Y)
            torch.autograd.backward(loss)
            return loss

        if not closure_made:
            closure()
            optimizer.step()
        elif by_name:
            optimizer.step(closure=closure)  # type: ignore[arg-type]
        else:
            optimizer.step(closure)  # type: ignore[arg-type]
        return start_of(run, told)

    one, other = gradient(False), gradient(True)
    assert one["gradient"] == other["gradient"] is not None
    assert (one["closure"], other["closure"]) == (False, True)


def test_several_optimizers_are_one_start_and_the_most_steps_count() -> None:
    run, told = run_of(plan())
    a, b = nn.Linear(3, 1), nn.Linear(3, 2)
    first, second = run.optimizer(a), run.optimizer(b, name="b")
    torch.autograd.backward(a(X).sum() + b(X).sum())
    first.step()
    second.step()
    second.step()
    assert start_of(run, told)["count"] == 4 + 8
    assert run.facts()["steps"] == 2


def test_gradient_scaling_and_accumulation_are_steps_of_the_optimizer() -> None:
    run, told = run_of(plan())
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for number in range(4):
        torch.autograd.backward(scaler.scale(F.mse_loss(model(X), Y)))
        if number % 2:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    start_of(run, told)
    assert run.facts()["steps"] == 2


def test_odd_tensors_have_hashes() -> None:
    run, told = run_of(plan("sgd"))
    words = nn.Embedding(5, 2, sparse=True)
    scale = nn.Parameter(torch.tensor(2.0))
    half = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    optimizer = run.optimizer([*words.parameters(), scale, half])
    torch.autograd.backward(words(torch.tensor([1, 1, 3])).sum() * scale)
    optimizer.step()
    assert start_of(run, told)["count"] == 10 + 1 + 3
    assert run.is_finite()


def test_a_copied_model_keeps_to_itself() -> None:
    run, _ = run_of(plan())
    model = nn.Linear(3, 1)
    at_first_step(run, model)
    assert run.is_finite()
    copy.deepcopy(model).weight.data.fill_(torch.nan)
    assert run.is_finite()
    model.weight.data.fill_(torch.nan)
    assert not run.is_finite()
