"""What the catalog says of a model: its options, what it is made of, what it needs and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.modules import Module
from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.shapes import Shape

SUPERVISED = ("classification", "regression")
"""The tasks of a model that answers each example by its outputs."""


def stacks(_: ModelOptions) -> None:
    """Say of a model that its trials can be stacked whatever its options are."""
    return


@dataclass(frozen=True)
class ModelEntry:
    """A model as jobs name it; `params` counts those of the model that `options` describe, by data's shape.

    `modules` is the chain of torch's modules that it is; a model without it needs a builder in workers
    (`whichopt.workers.workload.models.BUILDERS`), of the name `builder` if that is not the model's own, and
    snippets have a stand-in for it.

    `kept` counts the numbers that a network keeps of each example while it is trained; they are bounded only
    if it is given. `least` is the fewest examples of a batch that it can be trained with.

    `tasks` are the tasks that it can be trained for, and `players` the networks in it that have an optimizer
    each. `only_solo` is None for options with which trials can be
    stacked, and otherwise the reason in words why only the solo executor can train them: `torch.func.vmap`
    cannot run what draws random numbers, or branches on a tensor's value. One of a plug-in has its `origin`,
    by which it is built; its params are counted by workers, and are 0 until then.

    `small` are options with which a step of a network that is large by default is cheap on a CPU: to try it.
    """

    name: str
    title: str
    params: Callable[[ModelOptions, Shape], int]
    about: str
    options: type[ModelOptions] = ModelOptions
    needs_image: bool = False
    builder: str | None = None
    modules: Callable[[ModelOptions, Shape], Sequence[Module]] | None = None
    kept: Callable[[ModelOptions, Shape], int] | None = None
    least: Callable[[ModelOptions, Shape], int] = lambda *_: 1
    only_solo: Callable[[ModelOptions], str | None] = stacks
    tasks: tuple[str, ...] = SUPERVISED
    players: int = 1
    small: Mapping[str, Any] = field(default_factory=dict, hash=False)
    origin: Origin | None = None
