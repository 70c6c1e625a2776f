"""Choices become the values that they are to their hyperparameter, as every other value of a space does."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.space import Categorical
from whichopt.service.spec import JobSpec, resolve


@pytest.mark.parametrize(
    ("optimizer", "name", "choices", "become", "first"),
    [
        ("adadagrad", "batch_growth", [4, 2], [4.0, 2.0], 2.0),
        ("adam", "lr", [1, 0.001], [1.0, 0.001], 0.001),
        ("sgd", "batch_size", [16, 64], [16, 64], 64),
        ("sgd", "warmup", [0, 0.05], [0.0, 0.05], 0.05),
    ],
)
def test_a_default_is_found_among_choices_of_either_kind_of_number(
    optimizer: str, name: str, choices: list[Any], become: list[Any], first: Any
) -> None:
    chosen = {"name": optimizer, "space": {name: {"type": "categorical", "choices": choices}}}
    job = {"workload": {"dataset": "digits", "model": "linear"}, "optimizers": [chosen]}
    found = resolve(JobSpec.model_validate(job)).optimizer(optimizer)
    allowed = found.space[name]
    assert isinstance(allowed, Categorical)
    assert list(map(repr, allowed.choices)) == list(map(repr, become))
    assert repr(found.default[name]) == repr(first)
