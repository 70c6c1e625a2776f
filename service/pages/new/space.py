"""The fields for an optimizer's search space: texts by field, and the part of a job spec that they ask for.

Each hyperparameter is searched in a range, or fixed. The first trial has the catalog's default, or what the
range has next to it; another value may be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.pages.new.values import number, value, values, written
from whichopt.service.space import Categorical, Config, Dimension, Float, Int, Value
from whichopt.service.spec.request import SpaceEntry

ENDS = ("low", "high", "scale")


def space_of(entry: OptimizerEntry, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return `space` and `default` of an optimizer as the spec has them, each only if it is not as usual."""
    space: dict[str, Any] = {}
    default: dict[str, Any] = {}
    for name, dimension in entry.space.items():
        at = f"space.{entry.name}.{name}"
        first = texts.get(f"{at}.first", "").strip()
        if texts.get(f"{at}.how", "search") == "fixed":
            space[name] = value(first) if first else entry.default[name]
            continue
        given = _range(at, dimension, texts)
        if given != _as_asked(dimension):
            space[name] = given
        if first:
            default[name] = value(first)
    return {key: part for key, part in (("space", space), ("default", default)) if part}


def texts_of(entry: OptimizerEntry, space: Mapping[str, SpaceEntry], default: Config) -> dict[str, str]:
    """Return the texts of the fields for a complete space, and the first trial's values."""
    texts: dict[str, str] = {}
    for name, usual in entry.space.items():
        at = f"space.{entry.name}.{name}"
        found = space[name]
        searched = isinstance(found, Float | Int | Categorical)
        # Another kind of range than the catalog's cannot be shown: whoever fills the form finds that out.
        shown = (
            found if isinstance(found, Float | Int | Categorical) and type(found) is type(usual) else usual
        )
        texts |= {f"{at}.{part}": written(text) for part, text in _as_asked(shown).items() if part != "type"}
        texts[f"{at}.how"] = "search" if searched else "fixed"
        implied = _implied(entry, name, shown)
        texts[f"{at}.first"] = "" if searched and default[name] == implied else written(default[name])
    return texts


def _implied(entry: OptimizerEntry, name: str, dimension: Dimension) -> Value:
    """The first trial's value if none is given."""
    usual = entry.default[name]
    return usual if dimension == entry.space[name] else dimension.nearest(usual)


def _as_asked(dimension: Dimension) -> dict[str, Any]:
    if isinstance(dimension, Categorical):
        return {"type": "categorical", "choices": list(dimension.choices)}
    return {"type": dimension.type, "low": dimension.low, "high": dimension.high, "scale": dimension.scale}


def _range(at: str, dimension: Dimension, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the range that the fields give; what is empty is the catalog's."""
    usual = _as_asked(dimension)
    if isinstance(dimension, Categorical):
        text = texts.get(f"{at}.choices", "").strip()
        return {**usual, "choices": values(text)} if text else usual
    given = {part: text for part in ENDS if (text := texts.get(f"{at}.{part}", "").strip())}
    ends = {part: number(text) for part, text in given.items() if part != "scale"}
    return {**usual, **ends, **({"scale": given["scale"]} if "scale" in given else {})}
