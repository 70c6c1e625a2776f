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
from whichopt.workers.workload.layers import Joined as JoinedModule
from whichopt.workers.workload.layers import Projected as ProjectedModule
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
            isinstance(link.layer, Dropout)
            or (isinstance(link.layer, Chain | Projected) and link.layer.random)
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


class Joined(Chain):
    """A chain whose outputs are put behind the channels of its inputs."""

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:
        y, kept = super().forward(x, params, random)
        return torch.cat([x, y], 2), (kept, x.shape[2])

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        inside, channels = kept
        own = g[:, :, channels:].contiguous()  # it may write into its own
        below = super().backward(own, inside, params, grads, further)
        return None if below is None else torch.add(g[:, :, :channels], below)


class Projected:
    """Two chains, whose outputs are added."""

    def __init__(self, block: Chain, shortcut: Chain) -> None:
        self.chains = (block, shortcut)
        self.params = (*block.params, *shortcut.params)
        self.buffers = (*block.buffers, *shortcut.buffers)
        self.random = block.random or shortcut.random

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:
        own, buffers = iter(params[: len(self.params)]), iter(params[len(self.params) :])
        made, kept = [], []
        for chain in self.chains:
            tensors = [*_next(own, chain.params), *_next(buffers, chain.buffers)]
            y, left = chain.forward(x, tensors, random)
            made.append(y)
            kept.append(left)
        return made[0] + made[1], kept

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        middle = len(self.chains[0].params)
        below = [
            chain.backward(g.clone(), left, params[own], grads[own], further)  # each may write into its own
            for chain, left, own in zip(self.chains, kept, (slice(middle), slice(middle, None)), strict=True)
        ]
        first, second = below
        return None if first is None or second is None else first.add_(second)


def chain_of(model: nn.Module) -> Chain | None:
    """Return the model as a chain of layers, if every part of it has one."""
    links = _links(model, "")
    return None if links is None else Chain(links)


def _links(module: nn.Module, prefix: str) -> list[Link] | None:
    if type(module) in BLOCKS:
        parts = [_links(part, f"{prefix}{name}.") for name, part in module.named_children()]
        known = [part for part in parts if part is not None]
        return BLOCKS[type(module)](known) if len(known) == len(parts) else None
    build = KNOWN.get(type(module))
    layer = None if build is None else build(module)
    if layer is None:
        return None
    names = tuple(f"{prefix}{name}" for name, _ in module.named_parameters())
    return [Link(layer, names, tuple(f"{prefix}{name}" for name, _ in module.named_buffers()))]


def _one(block: Chain | Projected) -> list[Link]:
    return [Link(block, block.params, block.buffers)]


BLOCKS: Mapping[type[nn.Module], Callable[[Sequence[Sequence[Link]]], list[Link]]] = {
    nn.Sequential: lambda parts: [link for part in parts for link in part],
    ResidualModule: lambda parts: _one(Residual([link for part in parts for link in part])),
    JoinedModule: lambda parts: _one(Joined([link for part in parts for link in part])),
    ProjectedModule: lambda parts: _one(Projected(*map(Chain, parts))),
}
"""The links of a block of modules, by its class, from those of its parts."""


def _next(tensors: Iterator[Tensor], names: Sequence[str]) -> list[Tensor]:
    """Return as many tensors as there are names."""
    return [next(tensors) for _ in names]
