"""Configs made into optimizers: the real class that a catalog entry names, with its arguments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import torch
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


def step(optimizer: Optimizer) -> None:
    """Take a step. If it cannot be taken as a gradient is not finite, the params are not either after it.

    The trial has diverged then, which its next evaluation sees: it is a result, and no failure of the job.
    SOAP raises so, as it takes the eigenvectors of its first gradient.
    """
    try:
        optimizer.step()
    except RuntimeError:
        params = [param for group in optimizer.param_groups for param in group["params"]]
        if all(param.grad is None or bool(param.grad.isfinite().all()) for param in params):
            raise
        with torch.no_grad():
            for param in params:
                param.fill_(math.nan)


@cache
def optimizer_class(target: str) -> type[Optimizer]:
    """The class at `target`, whose module is imported now and not before: some take seconds."""
    module, _, name = target.rpartition(".")
    kind: type[Optimizer] = getattr(import_module(module), name)
    return kind
