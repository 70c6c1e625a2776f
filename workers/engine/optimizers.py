"""Configs made into optimizers: the real class that a catalog entry names, with its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from whichopt.service.catalog.optimizer_entry import Build
from whichopt.service.space import Value
from whichopt.workers.engine.entries import optimizer


def build(
    name: str, config: Mapping[str, Value], params: Iterable[Tensor], *, compiled: bool = False
) -> Optimizer:
    """The optimizer that the catalog or a plug-in has as `name`, set as `config` says, over `params`.

    `compiled` says whether it steps by a compiled kernel, if it has one.
    """
    entry = optimizer(name)
    faster = {**entry.stepping.faster, **entry.stepping.compiled} if compiled else entry.stepping.faster
    arguments: dict[str, Any] = {**entry.arguments(config), **entry.build.fixed, **faster}
    return optimizer_class(entry.build.target)(groups(entry.build, params), **arguments)


def groups(build: Build, params: Iterable[Any]) -> list[Any]:
    """What the class is given: the params or their groups, divided if it tells matrices apart."""
    found = list(params)
    if not build.matrices:
        return found
    whole = found if found and isinstance(found[0], dict) else [{"params": found}]
    return [part for group in whole for part in _by_shape(build.matrices, group)]


def _by_shape(key: str, group: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The group's matrices and its other params, those that there are; all of it where it says it itself."""
    if key in group:
        return [dict(group)]
    inside = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
    parts = [(flag, [one for one in inside if (tensor_of(one).ndim >= 2) is flag]) for flag in (True, False)]
    return [{**group, "params": chosen, key: flag} for flag, chosen in parts if chosen]


def tensor_of(param: Any) -> Tensor:
    """Return the tensor of a param, which torch also takes as a pair with its name."""
    tensor: Tensor = param[1] if isinstance(param, tuple) else param
    return tensor


@cache
def optimizer_class(target: str) -> type[Optimizer]:
    """The class at `target`, whose module is imported now and not before: some take seconds."""
    module, _, name = target.rpartition(".")
    kind: type[Optimizer] = getattr(import_module(module), name)
    return kind
