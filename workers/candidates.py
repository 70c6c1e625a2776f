"""An optimizer of a person's own, as a catalog's entry that only their job has."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch.optim import Optimizer

from whichopt.service.catalog.optimizer_entry import LIMITS, Build, OptimizerEntry
from whichopt.service.catalog.optimizer_spaces import BETAS
from whichopt.service.errors import InvalidSpec
from whichopt.service.numeric import is_finite
from whichopt.service.space import Categorical, Dimension, Float, Int, Space, Value

_DIMENSION: TypeAdapter[Dimension] = TypeAdapter(Dimension)


@dataclass(frozen=True)
class Candidate:
    """An optimizer of a person's own: its class, what is searched, and the setting of the first trial."""

    kind: type[Optimizer]
    entry: OptimizerEntry

    @property
    def name(self) -> str:
        return self.entry.name


def candidate(
    kind: type[Optimizer],
    *,
    space: Mapping[str, Any],
    default: Mapping[str, Value],
    name: str | None = None,
    state_bytes: int = 8,
    needs_closure: bool | None = None,
) -> Candidate:
    """Return an optimizer of your own for `tune(optimizers=[...])`.

    Args:
        kind: the class, as `torch.optim` has them: `kind(params, lr=..., ...)`.
        space: what each hyperparameter may be, as in a job: `{"lr": {"type": "float", "low": 1e-4, "high": 1,
            "log": True}}`. A tuple `betas` is said by its scalars, `beta1` and `beta2`.
        default: the setting of the first trial, a value for each of them.
        name: its name in tables; that of the class in small letters by default.
        state_bytes: bytes of state that it keeps for each float32 param.
        needs_closure: whether `step` must be given a closure; by default it must if its class says so, by a
            `closure` that has no default.

    Raises:
        InvalidSpec: the space, the setting or the class do not fit each other.

    Example:
        >>> import torch, whichopt
        >>> class Mine(torch.optim.SGD):
        ...     pass
        >>> lr = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}
        >>> whichopt.candidate(Mine, space={"lr": lr}, default={"lr": 0.1}, state_bytes=0).name
        'mine'
    """
    _check_kind(kind)
    _check_names("space", space)
    _check_names("default", default)
    called = name or kind.__name__.lower()
    dimensions: Space = {key: _dimension(called, key, value) for key, value in space.items()}
    packed = {key: parts for key, parts in BETAS.items() if set(parts) <= dimensions.keys()}
    _check_arguments(kind, called, dimensions, packed)
    _check_default(called, dimensions, default)
    try:
        entry = OptimizerEntry(
            name=called,
            title=kind.__name__,
            build=Build(target=f"{kind.__module__}.{kind.__qualname__}"),
            default=dict(default),
            space=dimensions,
            state_bytes=state_bytes,
            source=f"{kind.__module__}.{kind.__qualname__}, a person's own class",
            packed=packed,
            own_limits={key: _limits(one) for key, one in dimensions.items() if key not in LIMITS},
            class_default=_class_default(kind, dimensions, packed),
            needs_closure=_demands_closure(kind) if needs_closure is None else needs_closure,
        )
    except ValueError as error:
        raise InvalidSpec(f"candidate {called}: {error}", field="space") from error
    return Candidate(kind, entry)


def _check_kind(kind: Any) -> None:
    """Raise InvalidSpec unless this is a class of optimizers."""
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        given = repr(kind) if isinstance(kind, type | str) else f"a {type(kind).__name__}"
        raise InvalidSpec(f"candidate takes a class of torch.optim.Optimizer, not {given}", field="kind")


def _check_names(field: str, given: Any) -> None:
    """Raise InvalidSpec unless this has a value for each of some names."""
    if not isinstance(given, Mapping):
        raise InvalidSpec(f"candidate: {field} names each hyperparameter, as {{'lr': ...}}", field=field)


def _dimension(candidate: str, name: str, given: Any) -> Dimension:
    """Return the range of a hyperparameter; raise InvalidSpec if there is no such range."""
    try:
        return _DIMENSION.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(("space", name, *(str(one) for one in first["loc"] if one != first["input"])))
        raise InvalidSpec(
            f"candidate {candidate}: space.{name}: {first['msg']}; a range is written as "
            '{"type": "float", "low": 1e-4, "high": 1.0, "log": True}',
            field=field,
            value=given,
        ) from None


def _check_default(candidate: str, space: Space, default: Mapping[str, Value]) -> None:
    """Raise InvalidSpec if a value is none to train with. It may be outside of its range, as a 0 often is."""
    for name, value in default.items():
        dimension = space.get(name)
        if dimension is None or dimension.contains(value):
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and is_finite(value)
        if not is_number or isinstance(dimension, Categorical):
            raise InvalidSpec(
                f"candidate {candidate}: default.{name} is {value!r}, but space.{name} has "
                f"{dimension.allowed()}",
                field=f"default.{name}",
                value=value,
            )


def _check_arguments(
    kind: type[Optimizer], name: str, space: Space, packed: Mapping[str, tuple[str, ...]]
) -> None:
    """Raise InvalidSpec if the class takes no argument of a searched name."""
    known = inspect.signature(kind).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        return
    inside = {scalar for parts in packed.values() for scalar in parts}
    wanted = [*packed, *(key for key in space if key not in inside)]
    if unknown := [key for key in wanted if key not in known]:
        raise InvalidSpec(
            f"candidate {name}: {kind.__name__} takes no {', '.join(unknown)}; it takes "
            f"{', '.join(list(known)[1:])}",
            field=f"space.{unknown[0]}",
        )


def _class_default(
    kind: type[Optimizer], space: Space, packed: Mapping[str, tuple[str, ...]]
) -> dict[str, Value]:
    """Return the values that the class has by itself, of those that have one."""
    found: dict[str, Value] = {}
    for name, one in inspect.signature(kind).parameters.items():
        parts = packed.get(name, (name,))
        values = one.default if name in packed else (one.default,)
        if set(parts) <= space.keys() and isinstance(values, tuple) and len(values) == len(parts):
            known = zip(parts, values, strict=True)
            found |= {part: value for part, value in known if isinstance(value, bool | int | float | str)}
    return found


def _demands_closure(kind: type[Optimizer]) -> bool:
    """Tell if the class's `step` cannot be called without a closure."""
    closure = inspect.signature(kind.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def _limits(dimension: Dimension) -> Dimension:
    """Return what a hyperparameter that nobody else knows may be: as much as its range says."""
    if isinstance(dimension, Categorical):
        return dimension
    if isinstance(dimension, Int):
        return Int(low=dimension.low, high=dimension.high)
    return Float(low=dimension.low, high=dimension.high)
