"""Completes today's config: what its optimizer's class does by itself where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whichopt.service.catalog.built_in import Catalog
from whichopt.service.catalog.optimizer_entry import LIMITS, OptimizerEntry
from whichopt.service.errors import InvalidSpec
from whichopt.service.numeric import is_finite
from whichopt.service.space import Categorical, Config, Dimension, Float, Value
from whichopt.service.spec import batching
from whichopt.service.spec.hyperparameters import legal, scalars
from whichopt.service.spec.resolved import ResolvedToday
from whichopt.service.spec.today import TODAY, TodaysConfig


def resolve_today(
    asked: TodaysConfig, catalog: Catalog, labels: Sequence[str], shared: batching.Shared | None = None
) -> ResolvedToday:
    """Return today's config with every hyperparameter written out.

    Args:
        asked: what was sent; what it leaves out has the value that the optimizer's class has by itself.
        catalog: the optimizers that it may name.
        labels: the labels of the job's optimizers.
        shared: what the job sets for all labels; without it, today's config cannot set the batch size or the
            schedule.

    Raises:
        InvalidSpec: a name is unknown, a value is none that the class takes, a value is needed, or an
            optimizer has the label of today's config.
    """
    if TODAY in labels:
        raise InvalidSpec(
            f"the trials of today's config have the label {TODAY!r}; give the optimizer another 'label'",
            field=f"optimizers.{labels.index(TODAY)}.label",
            value=TODAY,
        )
    entry = catalog.optimizer(asked.name, field="today.name")
    given = scalars(entry, asked.config, "today.config")
    own = entry.default if entry.class_default is None else entry.class_default
    written = {name: value for name, value in own.items() if _can_be_written(value)}
    if missing := [name for name in entry.space if name not in given and name not in written]:
        has = f"the default {own[missing[0]]}, which no spec can hold" if missing[0] in own else "no default"
        raise InvalidSpec(
            f"today.config has no {missing[0]}, for which the class of {entry.name} has {has}; give its "
            "value",
            field=f"today.config.{missing[0]}",
            allowed=entry.limits(missing[0]).allowed(),
        )
    training = batching.usual(entry.facts, given, shared, "today.config")
    config: Config = {
        name: _value(entry, name, given[name]) if name in given else {**training, **written}[name]
        for name in (*entry.space, *(name for name in training if name not in entry.space))
    }
    _check_switches(entry, config, given)
    return ResolvedToday(name=entry.name, config=config, facts=entry.facts, origin=entry.origin)


def _value(entry: OptimizerEntry, name: str, value: Value) -> Value:
    """Return the value as the class takes it. It may lie outside of the range that is searched.

    Of a hyperparameter that only its own optimizer has, the range is all that is known of its limits: any
    value of its kind will do.
    """
    if name in entry.own_limits and name not in LIMITS and _is_of_kind(entry.limits(name), value):
        return float(value) if isinstance(entry.limits(name), Float) else value
    return legal(entry, name, value, f"today.config.{name}")


def _is_of_kind(limits: Dimension, value: Value) -> bool:
    if isinstance(limits, Categorical):
        return any(type(value) is type(choice) for choice in limits.choices)
    if isinstance(value, bool | str):
        return False
    return _can_be_written(value) if isinstance(limits, Float) else isinstance(value, int)


def _can_be_written(value: Value) -> bool:
    """Tell if JSON has such a value, which infinity is not, and a float such a number."""
    return isinstance(value, bool | str) or is_finite(value)


def _check_switches(entry: OptimizerEntry, config: Config, given: Mapping[str, Value]) -> None:
    """Raise InvalidSpec if a switch is on while the value that it needs is 0, which the class refuses."""
    for switch, needed in entry.needs.items():
        if config[switch] and config[needed] == 0:
            why = "" if needed in given else f", which it is if it is left out; give {needed} as well"
            raise InvalidSpec(
                f"today.config: {switch} of {entry.name} needs {needed} above 0{why}",
                field=f"today.config.{needed}",
                value=config[needed],
                allowed=entry.limits(needed).allowed(),
            )
