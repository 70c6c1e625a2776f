"""Chains of layers of n networks at once, and the module that each layer stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whichopt.workers.engine.stacked.image_layers import IMAGE_LAYERS
from whichopt.workers.engine.stacked.layers import LAYERS, Dropout, Generators, Kept, Layer
from whichopt.workers.engine.stacked.norms import NORMS
from whichopt.workers.workload.layers import Residual as ResidualModule

KNOWN: Mapping[type[nn.Module], Callable[[Any], Layer | None]] = {**LAYERS, **IMAGE_LAYERS, **NORMS}
"""The layer of a module, by the module's class itself; None if it has options that no layer knows."""


@dataclass(frozen=True)
class Link:
    """A layer in its place: `params` and `buffers` are the names of its own in the model."""

    layer: Layer
    params: tuple[str, ...]
    buffers: tuple[str, ...] = ()


class Chain:
    """Layers, each of which takes what the one before it gives; itself a layer.

    Its params are those of its layers in their order, and in `forward` their buffers stand behind them.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = tuple(links)
        self.params = tuple(name for link in links for name in link.params)
        self.buffers = tuple(name for link in links for name in link.buffers)
        self.random: bool = any(
            isinstance(link.layer, Dropout) or (isinstance(link.layer, Chain) and link.layer.random)
            for link in links
        )
        # Below the first layer with params, nobody wants a gradient.
        self.first = next((i for i, link in enumerate(links) if link.params), len(links))

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:
        kept = []
        own, buffers = iter(params[: len(self.params)]), iter(params[len(self.params) :])
        for link in self.links:
            tensors = [*_next(own, link.params), *_next(buffers, link.buffers)]
            x, left = link.layer.forward(x, tensors, random)
            kept.append(left)
        return x, kept

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        last, end = -1 if further else self.first - 1, len(self.params)
        for i in range(len(self.links) - 1, last, -1):
            link = self.links[i]
            own = slice(end - len(link.params), end)
            end = own.start
            below = link.layer.backward(g, kept[i], params[own], grads[own], further or i > self.first)
            if below is not None:
                g = below
        return g if further else None


class Residual(Chain):
    """A chain whose inputs are added to its outputs."""

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:
        y, kept = super().forward(x, params, random)
        return x + y, kept

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        if not further:
            return super().backward(g, kept, params, grads, further)
        below = super().backward(g.clone(), kept, params, grads, further)  # it may write into its own
        return None if below is None else torch.add(g, below)


def chain_of(model: nn.Module) -> Chain | None:
    """Return the model as a chain of layers, if every part of it has one."""
    links = _links(model, "")
    return None if links is None else Chain(links)


def _links(module: nn.Module, prefix: str) -> list[Link] | None:
    if type(module) in (nn.Sequential, ResidualModule):
        parts = [_links(part, f"{prefix}{name}.") for name, part in module.named_children()]
        if any(part is None for part in parts):
            return None
        links = [link for part in parts for link in part or ()]
        if type(module) is nn.Sequential:
            return links
        block = Residual(links)
        return [Link(block, block.params, block.buffers)]
    build = KNOWN.get(type(module))
    layer = None if build is None else build(module)
    if layer is None:
        return None
    names = tuple(f"{prefix}{name}" for name, _ in module.named_parameters())
    return [Link(layer, names, tuple(f"{prefix}{name}" for name, _ in module.named_buffers()))]


def _next(tensors: Iterator[Tensor], names: Sequence[str]) -> list[Tensor]:
    """Return as many tensors as there are names."""
    return [next(tensors) for _ in names]
