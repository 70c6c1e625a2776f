"""Configs made into optimizers: the real class that a catalog entry names, with its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

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
    return optimizer_class(entry.build.target)(params, **arguments)


@cache
def optimizer_class(target: str) -> type[Optimizer]:
    """The class at `target`, whose module is imported now and not before: some take seconds."""
    module, _, name = target.rpartition(".")
    kind: type[Optimizer] = getattr(import_module(module), name)
    return kind
