"""The fields for an optimizer's own batches and schedule: texts by field, and the part of a job spec of them.

A field that is empty is the job's. One value is fixed; values between commas are choices, and "16 to 512" is
a range, by factors unless a scale is named after it. The first trial has the job's value, or what is next to
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from whichopt.service.batches import GROWING, GROWING_DEFAULT, TRAINING, TRAINING_LIMITS, WORDS, grows
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.pages.new.values import number, value, values, written
from whichopt.service.space import Categorical, Config, Float, Int
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.batching import Shared, usual
from whichopt.service.spec.request import SpaceEntry

RANGE = re.compile(r"(\S+)\s+to\s+(\S+)(?:\s+(linear|log|log1m))?", re.IGNORECASE)

USUAL_SCALE: Mapping[str, str] = {"warmup": "linear"}
"""The scale of a range that names none, where that is not by factors."""

GROW = "grow"
"""The text of an optimizer's field `batches` if its batches are to grow."""


@dataclass(frozen=True)
class Setting:
    """A row of the group: the beginning of its fields' names, and for which choice of `batches` it counts."""

    name: str
    at: str
    words: str
    placeholder: str
    of: Literal["", "fixed", "grow"]


def settings_of(entry: OptimizerEntry) -> tuple[Setting, ...]:
    """Return the rows of the group of an optimizer."""
    return tuple(
        Setting(
            name=name,
            at=_at(entry, name),
            words=WORDS[name],
            placeholder=_placeholder(name),
            of=_of(entry, name),
        )
        for name in _names(entry)
    )


def asks(entry: OptimizerEntry) -> bool:
    """Tell if the batches of an optimizer may be fixed or grow, as its job says."""
    return not grows(dict.fromkeys(name for name in entry.space if not entry.is_own(name)))


def opened(entry: OptimizerEntry, texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a spec has of the fields in an optimizer's `space` and in its `default`."""
    grown = asks(entry) and texts.get(_at(entry, "batches"), "") == GROW
    space: dict[str, Any] = {}
    default: dict[str, Any] = {}
    for name in _names(entry):
        of = _of(entry, name)
        if of and of != ("grow" if grown else "fixed"):
            continue
        if text := texts.get(_at(entry, name), "").strip():
            space[name] = _allowed(name, text)
        if first := texts.get(f"{_at(entry, name)}.first", "").strip():
            default[name] = value(first)
    if grown:
        said = {name.removeprefix("batch_"): space.pop(name) for name in GROWING if name in space}
        space = {"batch_size": {"adaptive": "norm", **said}, **space}
    return space, default


def with_training(
    given: Mapping[str, Any], entry: OptimizerEntry, texts: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a spec has of an optimizer, with what the fields of its batches and schedule ask for."""
    space, default = opened(entry, texts)
    parts = {"space": {**given.get("space", {}), **space}, "default": {**given.get("default", {}), **default}}
    return {**given, **{key: part for key, part in parts.items() if part}}


def training_names(entry: OptimizerEntry) -> list[str]:
    """Return what a config of an optimizer may have besides the values of its space, if nothing grows."""
    return [name for name in _names(entry) if name not in GROWING]


def texts_of_training(
    entry: OptimizerEntry, space: Mapping[str, SpaceEntry], default: Config, common: Shared | None
) -> dict[str, str]:
    """Return the texts of the fields for a complete space, and the first trial's values.

    `common` is what the job sets for all labels; None for a job about a function, which opens nothing.
    """
    if common is None:
        return {}
    own = {name: space[name] for name in _names(entry) if name in space}
    of_growing = {name: allowed for name, allowed in own.items() if name in GROWING}
    unasked = usual(entry.facts, of_growing, common, "")
    first = usual(entry.facts, own, common, "")
    texts = {_at(entry, "batches"): GROW if asks(entry) and of_growing else ""}
    for name, allowed in own.items():
        searched = isinstance(allowed, Float | Int | Categorical)
        if searched or unasked.get(name) != allowed:
            texts[_at(entry, name)] = _written(name, allowed)
        if isinstance(allowed, Float | Int | Categorical) and default[name] != allowed.nearest(first[name]):
            texts[f"{_at(entry, name)}.first"] = written(default[name])
    return texts


def common_of(spec: ResolvedSpec) -> Shared | None:
    """Return what a job sets for all of its labels; None if it is about a function."""
    return None if spec.guest is not None else Shared(spec.batch_size, spec.schedule, spec.sizes.train)


def places_of(entry: OptimizerEntry, i: int) -> Iterator[tuple[str, str]]:
    """Yield the paths of what the fields ask for, of an optimizer at that place, and the fields."""
    for name in _names(entry):
        for part in ("space", "default"):
            yield f"optimizers.{i}.{part}.{name}", _at(entry, name)


def _names(entry: OptimizerEntry) -> list[str]:
    """Return the names that are about an optimizer's training, without those that its own space has."""
    fixed = ["batch_size"] if asks(entry) else []
    names = [*fixed, *GROWING, *(name for name in TRAINING if name != "batch_size")]
    return [name for name in names if name not in entry.space and not entry.is_own(name)]


def _of(entry: OptimizerEntry, name: str) -> Literal["", "fixed", "grow"]:
    if not asks(entry) or name not in ("batch_size", *GROWING):
        return ""
    return "grow" if name in GROWING else "fixed"


def _at(entry: OptimizerEntry, name: str) -> str:
    return f"space.{entry.name}.{name}"


def _placeholder(name: str) -> str:
    if name in TRAINING:
        return "as the job"
    return written(GROWING_DEFAULT[name]) if name in GROWING_DEFAULT else "half of the training examples"


def _allowed(name: str, text: str) -> Any:
    """Return the range, the choices or the value that a text gives; what is none of them is refused later."""
    limits = TRAINING_LIMITS[name]
    if not isinstance(limits, Categorical) and (found := RANGE.fullmatch(text)):
        low, high, scale = found.groups()
        ends = {"low": number(low), "high": number(high)}
        return {"type": limits.type, **ends, "scale": scale.lower() if scale else _scale(name)}
    return {"type": "categorical", "choices": values(text)} if "," in text else value(text)


def _written(name: str, allowed: SpaceEntry) -> str:
    if isinstance(allowed, Categorical):
        return written(allowed.choices)
    if isinstance(allowed, Float | Int):
        scale = "" if allowed.scale == _scale(name) else f" {allowed.scale}"
        return f"{written(allowed.low)} to {written(allowed.high)}{scale}"
    return written(allowed)


def _scale(name: str) -> str:
    return USUAL_SCALE.get(name, "log")
