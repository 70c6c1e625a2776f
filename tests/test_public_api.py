"""The public API is documented: arguments are described, and there is an example, which `make test` runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import whichopt
from adabelief import AdaBelief, functional, translate
from whichopt.service.client.errors import ProblemError, ServiceUnreachable
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import resolve
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.engine.stacked import StackedExecutor
from whichopt.workers.fit import fit

NAMES = [getattr(whichopt, name) for name in whichopt.__all__]
FUNCTIONS = [
    *(value for value in NAMES if inspect.isfunction(value)),
    *(resolve, recommend, next_round, fit),
    *(getattr(translate, name) for name in translate.__all__),
    *(value for name in functional.__all__ if inspect.isfunction(value := getattr(functional, name))),
]
CLASSES = [
    *(value for value in NAMES if inspect.isclass(value)),
    *(AdaBelief, ProblemError, ServiceUnreachable, SoloExecutor, StackedExecutor),
]

CONSTRUCTED = (whichopt.Client, AdaBelief, ProblemError, StackedExecutor)
"""Classes whose arguments their docstring describes; a pydantic model describes its fields."""


def methods(kind: type) -> Iterator[Any]:
    """The public methods that a class of ours defines, or one of ours that it inherits from."""
    ours = [base for base in kind.__mro__ if base.__module__.partition(".")[0] in ("whichopt", "adabelief")]
    for name in dict.fromkeys(name for base in ours for name in vars(base)):
        if not name.startswith("_") and inspect.isfunction(method := getattr(kind, name)):
            yield method


def undescribed(documented: Any, text: str) -> list[str]:
    """The arguments that the docstring does not describe."""
    names = [name for name in inspect.signature(documented).parameters if name != "self"]
    _, _, arguments = text.partition("Args:\n")
    described = {
        name
        for line in re.findall(r"^ +([\w, ]+): ", arguments, flags=re.MULTILINE)
        for name in line.split(", ")
    }
    return [name for name in names if name not in described]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_function_is_described_and_shown(function: Any) -> None:
    text = inspect.getdoc(function) or ""
    assert undescribed(function, text) == []
    assert "Example:\n    " in text
    assert ">>> " in text


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_is_described_and_shown(kind: type) -> None:
    text = inspect.getdoc(kind) or ""
    assert "Example:\n    >>> " in text
    if kind in CONSTRUCTED:
        assert undescribed(kind, text) == []
    for method in methods(kind):
        assert undescribed(method, inspect.getdoc(method) or "") == [], method.__qualname__


@pytest.mark.parametrize("method", [*methods(whichopt.Client), *methods(AdaBelief)], ids=lambda m: m.__name__)
def test_a_method_is_shown(method: Any) -> None:
    assert "Example:\n    >>> " in (inspect.getdoc(method) or "")
