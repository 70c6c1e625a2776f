"""What `tune` and `candidate` are given is checked before anything runs, and what is wrong is named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import whichopt
from whichopt.service.errors import InvalidSpec

LR = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}


def never(_: Any) -> None:
    raise AssertionError("it runs")


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"isolation": "spwan"}, "isolation", "did you mean 'spawn'"),
        ({"isolation": None}, "isolation", "choose one of: auto, fork, spawn, inline"),
        ({"check": "warning"}, "check", "did you mean 'warn'"),
        ({"processes": 0}, "processes", "1 or more"),
        ({"processes": 1.5}, "processes", "1 or more"),
        ({"processes": True}, "processes", "1 or more"),
        ({"options": [1]}, "options", "an object with names"),
        ({"options": "depth"}, "options", "an object with names"),
        ({"optimizers": "sgd"}, "optimizers", r"give a list, as in \['sgd'\]"),
        ({"report": "nowhere/report.html"}, "report", "there is no folder .*nowhere: make it"),
        ({"report": "."}, "report", "is a folder: give a file in it"),
    ],
)
def test_a_wrong_argument_costs_no_run(
    given: dict[str, Any], field: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSpec, match=words) as refused:
        whichopt.tune(never, minimize="loss", trials=2, **given)
    assert refused.value.field == field
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"kind": "sgd"}, "kind", "takes a class of torch.optim.Optimizer, not 'sgd'"),
        ({"kind": torch.optim.SGD([torch.zeros(1)], lr=0.1)}, "kind", "not a SGD"),
        ({"space": [LR]}, "space", "space names each hyperparameter"),
        ({"default": None}, "default", "default names each hyperparameter"),
        ({"space": {"lr": 0.1}}, "space.lr", "a range is written as"),
        ({"space": {"lr": {**LR, "low": 2.0}}}, "space.lr", "low 2 must be less than high 1"),
        ({"space": {"lr": {**LR, "low": math.nan}}}, "space.lr", "finite number"),
        ({"default": {"lr": math.nan}}, "default.lr", "default.lr is nan, but space.lr has 0.0001 to 1"),
        ({"default": {"lr": "a"}}, "default.lr", "default.lr is 'a'"),
    ],
)
def test_a_wrong_candidate_names_what_is_wrong(given: dict[str, Any], field: str, words: str) -> None:
    arguments: dict[str, Any] = {
        "kind": torch.optim.SGD,
        "space": {"lr": LR},
        "default": {"lr": 0.1},
        **given,
    }
    with pytest.raises(InvalidSpec, match=words) as refused:
        whichopt.candidate(arguments.pop("kind"), **arguments)
    assert (refused.value.field or "").startswith(field)


def test_a_default_may_lie_outside_of_its_range() -> None:
    decay = {"type": "float", "low": 1e-6, "high": 1e-2, "log": True}
    space, default = {"lr": LR, "weight_decay": decay}, {"lr": 0.1, "weight_decay": 0}
    assert whichopt.candidate(torch.optim.SGD, space=space, default=default).entry.default == default
