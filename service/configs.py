"""Counts and lists the configs of a space; a study trains each of them once.

All trials of a study share their seeds, so that a config that comes twice would repeat its run to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from whichopt.service.errors import InvalidSpec
from whichopt.service.space import Categorical, Config, Dimension, Int, Space, Value

MOST = 2**20
"""Points of a range beyond which they are not told apart: no study has as many trials."""

Packed = Mapping[str, Sequence[str]]
"""The scalars of each argument that torch takes as a tuple, as of `betas` `beta1` and `beta2`."""

ConfigKey = tuple[tuple[str, Value], ...]
"""A config, hashable."""


def config_key(config: Mapping[str, Value]) -> ConfigKey:
    """Return what two configs have in common if they are the same."""
    return tuple(sorted(config.items()))


def arguments(config: Mapping[str, Value], packed: Packed) -> dict[str, Any]:
    """Return `config` as a class's keyword arguments, with lr first."""
    inside = {scalar for scalars in packed.values() for scalar in scalars}
    tuples = {name: tuple(config[part] for part in parts) for name, parts in packed.items()}
    plain = {name: value for name, value in config.items() if name not in inside}
    return {"lr": plain["lr"], **tuples, **plain}


def points(space: Space) -> int:
    """The configs of a space: 1, if there is nothing to search."""
    return math.prod(_points(dimension) for dimension in space.values())


def room(space: Space, default: Mapping[str, Value]) -> int:
    """The configs that a study can train: those of its space, and its default if that lies outside."""
    inside = all(_holds(dimension, default[name]) for name, dimension in space.items())
    return points(space) + (not inside)


def nth_config(space: Space, at: int) -> Config:
    """The config of that number, from 0 to `points(space) - 1`: all of them differ."""
    config: Config = {}
    for name, dimension in space.items():
        at, own = divmod(at, _points(dimension))
        config[name] = _nth(dimension, own)
    return config


def each_once(of: str, dimension: Categorical, become: Sequence[Value], *, field: str) -> None:
    """Check that no two choices become one value, as 1 and 1.0 do for a number.

    Raises:
        InvalidSpec: two do; names them, and `of` what they are choices.
    """
    for i, value in enumerate(become):
        if value in become[:i]:
            first, second = dimension.choices[become.index(value)], dimension.choices[i]
            raise InvalidSpec(
                f"{of} has the choices {first!r} and {second!r}, which are both {value!r} to it; leave one "
                "of them out",
                field=field,
                value=list(dimension.choices),
                allowed="each value once",
            )


def _points(dimension: Dimension) -> int:
    if isinstance(dimension, Categorical):
        return len(dimension.choices)
    if isinstance(dimension, Int):
        return dimension.high - dimension.low + 1
    least = math.ulp(max(abs(dimension.low), abs(dimension.high)))
    between = (dimension.high - dimension.low) / least
    return 1 + int(between) if between < MOST else MOST


def _nth(dimension: Dimension, at: int) -> Value:
    if isinstance(dimension, Categorical):
        return dimension.choices[at]
    if isinstance(dimension, Int):
        return dimension.low + at
    share = at / (_points(dimension) - 1)
    return min(dimension.high, dimension.low + share * (dimension.high - dimension.low))


def _holds(dimension: Dimension, value: Value) -> bool:
    if isinstance(dimension, Categorical):
        return any(value == choice for choice in dimension.choices)  # 0 of a range, and the 0.0 it becomes
    return dimension.contains(value)
