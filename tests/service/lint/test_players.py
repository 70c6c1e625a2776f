"""Lint of jobs with a generator and a critic."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.lint import lint_job
from whichopt.service.spec import JobSpec


def _found(*optimizers: Any, epochs: int = 20, **model: Any) -> list[tuple[str, str | None]]:
    workload = {"dataset": "ring", "model": {"name": "gan", **model}}
    body = {
        "workload": workload,
        "optimizers": list(optimizers or ["adam", "sgd"]),
        "budget": {"epochs": epochs},
    }
    return [(one.code, one.field) for one in lint_job(JobSpec.model_validate(body))]


@pytest.mark.parametrize(
    ("model", "finding"),
    [
        ({"penalty": 5}, ("penalty_unused", "workload.model.penalty")),
        (
            {"loss": "wgan-gp", "spectral_norm": True},
            ("slopes_limited_twice", "workload.model.spectral_norm"),
        ),
        ({"critic_steps": 30}, ("few_generator_steps", "budget.epochs")),
        ({"epochs": 1}, ("few_generator_steps", "budget.epochs")),
    ],
)
def test_what_does_nothing_or_too_little_is_found(model: dict[str, Any], finding: tuple[str, str]) -> None:
    assert finding in _found(**model)


@pytest.mark.parametrize(
    "model",
    [{}, {"loss": "wgan-gp", "penalty": 5}, {"spectral_norm": True}, {"loss": "wgan-gp", "critic_steps": 5}],
)
def test_what_recipes_say_is_not_blamed(model: dict[str, Any]) -> None:
    assert _found(**model) == []


def test_adabelief_without_momentum_is_found_and_adam_is_not() -> None:
    space = {"space": {"beta1": 0.01}}
    assert ("belief_without_momentum", "optimizers.0") in _found({"name": "adabelief", **space}, "sgd")
    codes = [code for code, _ in _found({"name": "adam", "space": {"beta1": 0.0}}, "sgd")]
    assert "belief_without_momentum" not in codes
    usual = {"name": "adabelief", "space": {"beta1": 0.5}}
    assert "belief_without_momentum" not in [code for code, _ in _found(usual, "sgd")]
