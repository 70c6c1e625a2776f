"""Layers of n networks at once that scale by mean and variance.

See `whichopt.workers.engine.stacked.layers`.

They are made of sums and of functions of each entry alone, which round the same whatever the company is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from whichopt.workers.engine.stacked.layers import Generators, Kept, Layer


class Scaled(ABC):
    """A layer that scales rows of each example by their own mean and variance, with weight and bias."""

    eps: float

    @abstractmethod
    def rows(self, x: Tensor) -> Tensor:
        """Return x (n, batch, ...) as (..., entries that are scaled together)."""

    @abstractmethod
    def spread(self, param: Tensor, x: Tensor) -> Tensor:
        """Return a param (n, ...) in a shape that goes with x."""

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        rows = self.rows(x).contiguous()
        scaled, mean, scale = torch.ops.aten.native_layer_norm(rows, rows.shape[-1:], None, None, self.eps)
        scaled = scaled.view(x.shape)
        weight, bias = (self.spread(param, x) for param in params)
        return (scaled * weight).add_(bias), (rows, scaled, mean, scale)

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        rows, scaled, mean, scale = kept
        weight = self.spread(params[0], g)
        summed = [dim for dim in range(1, g.dim()) if weight.shape[dim] == 1]
        for grad, terms in zip(grads, (g * scaled, g), strict=True):
            grad.copy_(terms.sum(summed).view(grad.shape))
        if not further:
            return None
        below: Tensor = torch.ops.aten.native_layer_norm_backward(
            self.rows(g * weight).contiguous(),
            rows,
            rows.shape[-1:],
            mean,
            scale,
            None,
            None,
            (True, False, False),
        )[0]
        return below.view(g.shape)


@dataclass(frozen=True)
class LayerNorm(Scaled):
    """`nn.LayerNorm` over that many of the last dimensions: weight and bias (n, ...) have those."""

    dims: int
    eps: float

    def rows(self, x: Tensor) -> Tensor:
        return x.flatten(-self.dims)

    def spread(self, param: Tensor, x: Tensor) -> Tensor:
        return param.reshape(param.shape[0], *[1] * (x.dim() - 1 - self.dims), *param.shape[1:])


@dataclass(frozen=True)
class GroupNorm(Scaled):
    """`nn.GroupNorm`: weight and bias (n, channels)."""

    groups: int
    eps: float

    def rows(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.groups, -1)

    def spread(self, param: Tensor, x: Tensor) -> Tensor:
        return _beside(param, x)


@dataclass(frozen=True)
class BatchNorm:
    """`nn.BatchNorm1d` or `nn.BatchNorm2d` with weight and bias (n, features) and the running statistics that
    each network has of its own, which stand behind them: mean, variance (n, features), count (n,)."""

    eps: float
    momentum: float

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:
        weight, bias, running_mean, running_variance, count = params
        if random is None:
            scale = torch.rsqrt(running_variance + self.eps).mul_(weight)
            shift = bias - running_mean * scale
            return (x * _beside(scale, x)).add_(_beside(shift, x)), None
        dims = _over(x)
        values = x.shape[1] * prod(x.shape[3:])
        mean = x.mean(dims)
        centered = x - _beside(mean, x)
        variance = centered.square().mean(dims)
        running_mean.lerp_(mean, self.momentum)
        running_variance.lerp_(variance * (values / (values - 1)), self.momentum)
        count.add_(1)
        scale = torch.rsqrt(variance + self.eps)
        scaled = centered.mul_(_beside(scale, x))
        return (scaled * _beside(weight, x)).add_(_beside(bias, x)), (scaled, scale)

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        scaled, scale = kept
        dims = _over(g)
        torch.sum(g * scaled, dims, out=grads[0])
        torch.sum(g, dims, out=grads[1])
        if not further:
            return None
        values = g.shape[1] * prod(g.shape[3:])
        of_mean, of_scale = (_beside(grad / values, g) for grad in (grads[1], grads[0]))
        return (g - of_mean).sub_(scaled * of_scale).mul_(_beside(scale * params[0], g))


def _over(x: Tensor) -> tuple[int, ...]:
    """Return the dimensions of x (n, batch, features, ...) that a feature's statistics are over."""
    return (1, *range(3, x.dim()))


def _beside(param: Tensor, x: Tensor) -> Tensor:
    """Return a param (n, features) in a shape that goes with x (n, batch, features, ...)."""
    return param.reshape(param.shape[0], 1, -1, *[1] * (x.dim() - 3))


def _layer_norm(module: nn.LayerNorm) -> Layer | None:
    if len(list(module.parameters())) < 2:
        return None
    return LayerNorm(len(module.normalized_shape), module.eps)


def _group_norm(module: nn.GroupNorm) -> Layer | None:
    return GroupNorm(module.num_groups, module.eps) if module.affine else None


def _batch_norm(module: nn.BatchNorm1d | nn.BatchNorm2d) -> Layer | None:
    if not module.affine or not module.track_running_stats or module.momentum is None:
        return None
    return BatchNorm(module.eps, module.momentum)


NORMS: Mapping[type[nn.Module], Callable[[Any], Layer | None]] = {
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
}
"""The layer of a module, by the module's class itself; None if it has options that no layer knows."""
