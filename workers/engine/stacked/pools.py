"""Pooling layers of n networks at once; see `whichopt.workers.engine.stacked.layers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whichopt.workers.engine.stacked.layers import Generators, Kept, Layer, Unlearned

Pair = tuple[int, int]


@dataclass(frozen=True)
class MaxPool2d(Unlearned):
    """`nn.MaxPool2d`; `options` are its kernel size, stride, padding, dilation and ceil mode."""

    options: tuple[Any, ...]

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        dims = _together(x)
        images, sizes = x.flatten(*dims), x.shape[dims[0] : dims[1] + 1]
        y, where = torch.ops.aten.max_pool2d_with_indices(images, *self.options)
        return torch.unflatten(y, dims[0], sizes), (images, where, dims, sizes)

    def below(self, g: Tensor, kept: Kept) -> Tensor:
        images, where, dims, sizes = kept
        backward = torch.ops.aten.max_pool2d_with_indices_backward
        return torch.unflatten(backward(g.flatten(*dims), images, *self.options, where), dims[0], sizes)


@dataclass(frozen=True)
class AvgPool2d(Unlearned):
    """`nn.AvgPool2d`; `options` are its kernel size, stride, padding, ceil mode, whether zeros of the padding
    count, and the divisor if it has one of its own."""

    options: tuple[Any, ...]

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        dims = _together(x)
        images, sizes = x.flatten(*dims), x.shape[dims[0] : dims[1] + 1]
        y = torch.ops.aten.avg_pool2d(images, *self.options)
        return torch.unflatten(y, dims[0], sizes), (images, dims, sizes)

    def below(self, g: Tensor, kept: Kept) -> Tensor:
        images, dims, sizes = kept
        backward = torch.ops.aten.avg_pool2d_backward
        return torch.unflatten(backward(g.flatten(*dims), images, *self.options), dims[0], sizes)


class Mean(Unlearned):
    """`nn.AdaptiveAvgPool2d` to one by one."""

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        return x.mean((3, 4), keepdim=True), x

    def below(self, g: Tensor, kept: Kept) -> Tensor:
        return torch.empty_like(kept).copy_(g / (kept.shape[3] * kept.shape[4]))


def _together(x: Tensor) -> tuple[int, int]:
    """Return the two dimensions that are made one: of the networks and the batch, or of batch and channels.

    Whatever comes last in memory, torch takes for channels, and pools a vector of them at a time.
    """
    return (1, 2) if x.stride(1) < x.stride(4) else (0, 1)


def pair(value: Any) -> Pair:
    """Return a size of two dimensions; a number alone stands for both."""
    first, second = (value, value) if isinstance(value, int) else value
    return first, second


def _max_pool2d(module: nn.MaxPool2d) -> Layer | None:
    if module.return_indices:
        return None
    sizes = (module.kernel_size, module.stride, module.padding, module.dilation)
    return MaxPool2d((*(pair(size) for size in sizes), module.ceil_mode))


def _avg_pool2d(module: nn.AvgPool2d) -> Layer:
    sizes = (module.kernel_size, module.stride, module.padding)
    return AvgPool2d(
        (*(pair(size) for size in sizes), module.ceil_mode, module.count_include_pad, module.divisor_override)
    )


def _mean(module: nn.AdaptiveAvgPool2d) -> Layer | None:
    return Mean() if module.output_size in (1, (1, 1)) else None


POOLS: Mapping[type[nn.Module], Callable[[Any], Layer | None]] = {
    nn.MaxPool2d: _max_pool2d,
    nn.AvgPool2d: _avg_pool2d,
    nn.AdaptiveAvgPool2d: _mean,
}
"""The layer of a module, by the module's class itself; None if it has options that no layer knows."""
