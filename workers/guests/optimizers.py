"""The optimizer of a run: torch's own class, set as the trial's config says, over what the person gives."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.space import Value
from whichopt.workers.engine.optimizers import groups, optimizer_class, tensor_of

FOR_SPEED = ("foreach", "fused")
"""Options that change how fast a step is and nothing else: a class that lacks them goes without."""


def refuse(given: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that the search sets, and those that no optimizer has.

    Raises:
        TypeError: there is one.
    """
    for name in given:
        if name == "lr":
            raise TypeError("run.optimizer takes no lr: lr is searched; run.lr has it")
        if name in arguments:
            raise TypeError(f"run.optimizer takes no {name}: it is searched; run.config has it")
        raise TypeError(
            f"run.optimizer takes no {name}; it takes name, no_decay, foreach, fused, capturable and "
            "maximize, and the search sets the rest"
        )


def made(
    facts: OptimizerFacts,
    config: Mapping[str, Value],
    params: Any,
    *,
    no_decay: bool = False,
    options: Mapping[str, bool | None],
) -> Optimizer:
    """Return the optimizer; see `Run.optimizer`.

    Raises:
        TypeError: its class lacks an option, or needs the model itself.
        ValueError: there are no params.
    """
    kind = optimizer_class(facts.build.target)
    known = inspect.signature(kind).parameters
    chosen = {name: value for name, value in options.items() if value is not None}
    for name in chosen.keys() - known.keys():
        if name not in FOR_SPEED:
            raise TypeError(f"{kind.__name__} has no option {name}: leave it out of run.optimizer")
        del chosen[name]
    if facts.modes and not isinstance(params, nn.Module):
        raise TypeError(
            f"{kind.__name__} evaluates other params than it trains: give run.optimizer the model"
        )
    given = groups(facts.build, _groups(params, no_decay))
    optimizer = kind(given, **{**facts.arguments(config), **facts.build.fixed, **chosen})
    if facts.modes:
        _follow(params, optimizer)
    return optimizer


def _groups(params: Any, no_decay: bool) -> list[Any]:
    found = list(params.parameters() if isinstance(params, nn.Module) else params)
    if not found:
        raise ValueError("run.optimizer was given no params: make the model first, and give it or its params")
    if not no_decay:
        return found
    groups = found if isinstance(found[0], dict) else [{"params": found}]
    return [part for group in groups for part in _by_decay(group)]


def _by_decay(group: dict[str, Any]) -> list[dict[str, Any]]:
    if "weight_decay" in group:
        return [group]
    inside = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
    matrices = [param for param in inside if tensor_of(param).ndim >= 2]
    others = [param for param in inside if tensor_of(param).ndim < 2]
    parts = [{**group, "params": matrices}, {**group, "params": others, "weight_decay": 0.0}]
    return [part for part in parts if part["params"]]


def _follow(model: nn.Module, optimizer: Any) -> None:
    """Have the optimizer train where the model does, and evaluate where it does.

    Frameworks set `training` without a call of `train`, and call parts of a model instead of the whole, so it
    is looked at before each part's forward.
    """
    whole = weakref.ref(model)
    mode = {"training": True}
    optimizer.train()

    def look(*_: Any) -> None:
        there = whole()
        if there is not None and there.training != mode["training"]:
            mode["training"] = there.training
            (optimizer.train if there.training else optimizer.eval)()

    for part in model.modules():
        part.register_forward_pre_hook(look)
    optimizer.register_step_pre_hook(look)
