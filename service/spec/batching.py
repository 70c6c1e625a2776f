"""Completes what a label's space says of batches and the schedule; `batch_checks` holds it against data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from whichopt.service.batches import (
    GROWING,
    GROWING_DEFAULT,
    MOST,
    TRAINING_LIMITS,
)
from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.errors import InvalidSpec
from whichopt.service.space import Categorical, Config, Dimension, Int, Value
from whichopt.service.trials import Schedule

ASKED = {name.removeprefix("batch_"): name for name in GROWING}
"""The keys of a growing batch as a job says it, and their names in a config."""


@dataclass(frozen=True)
class Shared:
    """What a job sets for all of its labels, and the number of examples in its training split."""

    batch_size: int
    schedule: Schedule
    examples: int


def spread_out(space: Any, *, whole: bool = True) -> Any:
    """Return a label's space, or a config, with a growing batch size spread out to its flat names.

    Args:
        space: what was sent.
        whole: whether it says of itself that the batch grows, so that it has an eta; defaults only say with
            which values the first trial does.

    Raises:
        ValueError: a key of it is unknown, or it is not the norm test that it grows by.
    """
    if not isinstance(space, Mapping) or not isinstance(space.get("batch_size"), Mapping):
        return space
    asked = dict(space["batch_size"])
    if "adaptive" not in asked:
        if whole and "type" not in asked:
            raise ValueError(
                f"batch_size is {asked}, which is no range, as it has no 'type', and no batch that grows; "
                'allowed: a number, {"type": "int", "low": 16, "high": 256}, or {"adaptive": "norm", ...}'
            )
        return space
    if (test := asked.pop("adaptive")) != "norm":
        raise ValueError(f"batch_size.adaptive is {test!r}; allowed: 'norm'")
    if unknown := [key for key in asked if key not in ASKED]:
        raise ValueError(f"batch_size has no {unknown[0]!r}; an adaptive one has {', '.join(ASKED)}")
    grown = {ASKED[key]: value for key, value in asked.items()}
    if twice := next((name for name in grown if name in space), None):
        raise ValueError(
            f"batch_size says {twice.removeprefix('batch_')}, and so does {twice}; leave one out"
        )
    rest = {name: value for name, value in space.items() if name != "batch_size"}
    return {**({"batch_eta": GROWING_DEFAULT["batch_eta"]} if whole else {}), **rest, **grown}


def usual(facts: OptimizerFacts, asked: Mapping[str, Any], common: Shared | None, field: str) -> Config:
    """Return the values of what a config has of batches and the schedule, if nobody gives others.

    Args:
        facts: those of the optimizer.
        asked: the space, or the config, as far as the job gives it.
        common: what the job sets for all labels; None outside of a job about entries of the catalog. Nothing
            can be opened there.
        field: the path of the space, or of the config, in the spec.

    Raises:
        InvalidSpec: nothing makes batches by it, or the batch size is both fixed and growing.
    """
    given = [name for name in asked if name in TRAINING_LIMITS and not facts.is_own(name)]
    if common is None:
        if given:
            raise InvalidSpec(
                f"{given[0]} can be searched only if whichopt makes the batches; leave it out",
                field=f"{field}.{given[0]}",
                allowed="nothing",
            )
        return {}
    values: Config = {name: value for name, value in _of_job(facts, common).items() if name in given}
    if _brings_schedule(facts, common):
        values = {**_of_job(facts, common), **values}
        values.pop("batch_size")
    if not any(name in GROWING and not facts.is_own(name) for name in (*facts.space, *asked)):
        return values
    if "batch_size" in given:
        raise InvalidSpec(
            "the batch size is fixed and growing at once; give batch_size a number or a range, or "
            '{"adaptive": "norm", "eta": ...}. An optimizer whose batches always grow takes no fixed size',
            field=f"{field}.batch_size",
            allowed="one of the two",
        )
    start = most(asked.get("batch_start", facts.space.get("batch_start", GROWING_DEFAULT["batch_start"])))
    return {**values, **GROWING_DEFAULT, "batch_max": usual_max(start, common.examples)}


def usual_max(start: int, examples: int) -> int:
    """Return the most examples of a growing batch if nobody says it: half of the training split."""
    return min(MOST, max(start, examples // 2))


def _of_job(facts: OptimizerFacts, common: Shared) -> Config:
    """Return what the job sets for all; an optimizer with a schedule of its own is left to that."""
    own = facts.own_schedule
    return {
        "batch_size": common.batch_size,
        "schedule": "constant" if own else common.schedule.name,
        "warmup": 0.0 if own else common.schedule.warmup,
    }


def _brings_schedule(facts: OptimizerFacts, common: Shared) -> bool:
    """Tell if the optimizer's own schedule stands in for the job's."""
    return facts.own_schedule and (common.schedule.name != "constant" or common.schedule.warmup > 0)


def most(allowed: Dimension | Value) -> int:
    """Return the largest size that is allowed; 0 if it is no size, which is refused elsewhere."""
    return max(values(allowed), default=0)


def values(allowed: Dimension | Value) -> Iterator[int]:
    """Yield the sizes that a batch may have."""
    if isinstance(allowed, Int):
        yield from range(allowed.low, allowed.high + 1)
    elif isinstance(allowed, Categorical):
        yield from (choice for choice in allowed.choices if isinstance(choice, int))
    elif isinstance(allowed, int):
        yield allowed
