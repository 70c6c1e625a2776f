"""How exactly each place of a report is compared: by the field that it is, whatever a label is called."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any

import pytest
from pydantic import BaseModel

from whichopt.service.evidence.analysis.shapes import Analysis
from whichopt.service.evidence.report.differences import PROBABILITIES, WORDED, Difference, differences
from whichopt.service.views import Recommendation


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (10**400, 1.5, False),
        (1.5, 10**400, False),
        (10**400, 10**400 + 1, False),
        (10**400, 10**400, True),
    ],
)
def test_whole_numbers_beyond_every_float_are_compared(one: float, other: float, same: bool) -> None:
    assert (list(differences(("analysis",), one, other, scale=1.0)) == []) == same


@pytest.mark.parametrize("label", ["probability", "probability_best", "adam"])
def test_a_label_does_not_loosen_a_comparison(label: str) -> None:
    def row(value: float) -> list[dict[str, object]]:
        return [{"optimizer": label, "seconds": value, "probability_best": value / 100}]

    (found,) = differences(("recommendation", "ranking"), row(1.0), row(1.02), scale=1.0)
    assert found.path == ("recommendation", "ranking", label, "seconds")


@pytest.mark.parametrize("label", ["words", "statement", "snippet", "stopped", "methods", "warnings"])
def test_a_label_makes_no_words_of_a_number(label: str) -> None:
    for path in (
        ("recommendation", "ranking", label),
        ("recommendation", "optimizer_verdict", "probability_best", label),
        ("analysis", "step_cost", label),
    ):
        assert not Difference(path, 1, 2).is_words


def leaves(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each field that holds a number or a text, with `*` for labels and places."""
    parts = typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield from leaves(field.annotation, (*path, name))
    elif typing.get_origin(kind) in (typing.Union, UnionType):
        for one in parts:
            yield from leaves(one, path)
    elif typing.get_origin(kind) in (list, tuple, dict):
        yield from leaves(parts[-1] if typing.get_origin(kind) is dict else parts[0], (*path, "*"))
    elif kind is not type(None):
        yield path


def test_every_probability_is_compared_as_one_and_every_text_is_one() -> None:
    """The fields are listed by hand: one that a later version adds must not be forgotten."""
    known = {*leaves(Recommendation, ("recommendation",)), *leaves(Analysis, ("analysis",))}
    named = {path for path in known if any(part.startswith("probability") for part in path)}
    assert named == PROBABILITIES
    assert known >= WORDED
    assert {path for path in known if path[-1] in ("statement", "snippet", "stopped")} <= WORDED


def test_a_sentence_is_words_wherever_it_stands() -> None:
    for path in WORDED:
        assert Difference(tuple("anytime" if part == "*" else part for part in path), "a", "b").is_words
