"""Reads the hyperparameters that somebody gives an optimizer: torch's tuples, unknown names, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, TypeVar

from whichopt.service.batches import TRAINING, TRAINING_LIMITS
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.errors import InvalidSpec, UnknownName
from whichopt.service.space import Float, Int, Value
from whichopt.service.spec.request import SpaceEntry

ScalarT = TypeVar("ScalarT", Value, SpaceEntry)


def scalars(
    entry: OptimizerEntry, given: Mapping[str, ScalarT | tuple[ScalarT, ...]], field: str
) -> dict[str, ScalarT]:
    """Return the given values, with torch's tuples split into the scalars of the space.

    Raises:
        InvalidSpec: the optimizer has no such name, the name takes another number of values, or a tuple says
            otherwise than one of its parts.
    """
    found: dict[str, ScalarT] = {}
    for name, value in given.items():
        parts = entry.packed.get(name, (name,))
        values = value if isinstance(value, tuple) else (value,)
        if unknown := [part for part in parts if part not in entry.space and part not in TRAINING_LIMITS]:
            raise UnknownName.of(f"{entry.name} hyperparameter", unknown[0], _names(entry), field=field)
        if len(values) != len(parts) or isinstance(value, tuple) != (name in entry.packed):
            example = ", ".join(f"{entry.default.get(part, 64)}" for part in parts)
            takes = f"a list of {len(parts)} ({', '.join(parts)})" if name in entry.packed else "one value"
            takes += f", such as [{example}]" if name in entry.packed else f", such as {example}"
            raise InvalidSpec(
                f"{entry.name}: {name} takes {takes}", field=f"{field}.{name}", value=value, allowed=takes
            )
        for part, its in zip(parts, values, strict=True):
            if part in found and found[part] != its:
                _contradict(entry, given, part, field)
            found[part] = its
    return found


def _contradict(entry: OptimizerEntry, given: Mapping[str, object], part: str, field: str) -> NoReturn:
    """Raise InvalidSpec, as a tuple and one of its parts have two values for the same hyperparameter."""
    packed = next(name for name, parts in entry.packed.items() if part in parts)
    raise InvalidSpec(
        f"{entry.name}: {packed} and {part} are both given, and differ; give one of the two",
        field=f"{field}.{part}",
        value=given[part],
        allowed=f"either {packed} or {', '.join(entry.packed[packed])}",
    )


def _names(entry: OptimizerEntry) -> list[str]:
    """Return every name that a setting may have: torch's tuples, each before its parts, and the scalars."""
    tuples = {parts[0]: name for name, parts in entry.packed.items()}
    own = [each for name in entry.space for each in ((tuples[name], name) if name in tuples else (name,))]
    return [*own, *(name for name in TRAINING if name not in own)]


def legal(entry: OptimizerEntry, name: str, value: Value, field: str) -> Value:
    """Return `value` as the optimizer's class takes it.

    Raises:
        InvalidSpec: the hyperparameter cannot have it.
    """
    limits = entry.limits(name)
    if isinstance(limits, Int) and isinstance(value, float) and value.is_integer():
        value = int(value)  # 64.0 is a whole number, here as in every field of a job
    if not limits.contains(value):
        no_number = isinstance(value, str) and isinstance(limits, Float | Int)
        raise InvalidSpec(
            f"{entry.name}: {name} cannot be {value!r}{', as it must be a number' if no_number else ''}; "
            f"allowed: {limits.allowed()}",
            field=field,
            value=value,
            allowed=limits.allowed(),
        )
    return float(value) if isinstance(limits, Float) else value
