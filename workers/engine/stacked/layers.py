"""Layers of n networks at once, each with its own params, forward and backward.

torch's `vmap` does the same for any module, but at a price that small networks feel: its dispatch and that of
autograd take longer than the products of a whole stack. The modules that have a layer here are run by it; a
network with any other is run by `vmap` (see `whichopt.workers.engine.stacked.nets`).

A layer sees inputs (n, batch, ...) and params (n, ...), strided as they may be but contiguous behind the n.
If it has buffers, they stand behind the params.
Its kernels are those whose bits for one network do not depend on n or on the company, from n = 2 on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kept = Any
"""The values that a layer's forward keeps for its backward."""

Generators = Sequence[torch.Generator]
"""One a network: where its random numbers come from in this step."""


class Layer(Protocol):
    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:
        """The outputs, and what `backward` needs. `random` is None in evaluation only."""
        ...

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        """Writes the gradients of `params` into `grads`, which are contiguous; that of the inputs is
        returned if `further` asks for it. `g`, the gradient of the outputs, may be overwritten."""
        ...


class Linear:
    """`nn.Linear`: params weight (n, outputs, inputs) and bias (n, outputs), if any."""

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        weight = params[0].transpose(1, 2)
        if len(params) == 1:
            return torch.bmm(x, weight), x
        return torch.baddbmm(params[1].unsqueeze(1), x, weight), x

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        torch.bmm(g.transpose(1, 2), kept, out=grads[0])
        if len(params) == 2:
            torch.sum(g, 1, out=grads[1])
        return torch.bmm(g, params[0]) if further else None


class Unlearned(ABC):
    """A layer without params."""

    @abstractmethod
    def below(self, g: Tensor, kept: Kept) -> Tensor:
        """The gradient of the inputs."""

    def backward(
        self,
        g: Tensor,
        kept: Kept,
        params: Sequence[Tensor],  # noqa: ARG002
        grads: Sequence[Tensor],  # noqa: ARG002
        further: bool,
    ) -> Tensor | None:
        return self.below(g, kept) if further else None


@dataclass(frozen=True)
class Activation(Unlearned):
    """A function of each entry alone. `slope(g, kept)` is the gradient of the inputs from g of the outputs.

    `kept` are the outputs, or the inputs if the slope is told from those.
    """

    function: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    keeps_inputs: bool = False

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        y = self.function(x)
        return y, (x if self.keeps_inputs else y)

    def below(self, g: Tensor, kept: Kept) -> Tensor:
        return self.slope(g, kept)


@dataclass(frozen=True)
class Dropout(Unlearned):
    """`nn.Dropout`: each network's mask is what its generator would give it alone."""

    p: float

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        if random is None or self.p == 0:
            return x, None
        mask = torch.empty_like(x, memory_format=torch.contiguous_format)
        for row, generator in zip(mask, random, strict=True):
            row.bernoulli_(1 - self.p, generator=generator)
        mask.div_(1 - self.p)
        return x * mask, mask

    def below(self, g: Tensor, kept: Kept) -> Tensor:
        return g if kept is None else g * kept


class SiLU(Unlearned):
    """`nn.SiLU`, by the exponential function: torch's own rounds otherwise at the end of its memory."""

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        share = x.neg().exp_().add_(1).reciprocal_()
        return x * share, (x, share)

    def below(self, g: Tensor, kept: Kept) -> Tensor:
        x, share = kept
        gradient: Tensor = (1 - share).mul_(x).add_(1).mul_(share).mul_(g)
        return gradient


def _gelu(module: nn.GELU) -> Activation:
    def function(x: Tensor) -> Tensor:
        return F.gelu(x, approximate=module.approximate)

    def slope(g: Tensor, x: Tensor) -> Tensor:
        gradient: Tensor = torch.ops.aten.gelu_backward(g, x, approximate=module.approximate)
        return gradient

    return Activation(
        function=lambda x: _in_memory_order(function, x),
        slope=lambda g, x: _in_memory_order(slope, g, x),
        keeps_inputs=True,
    )


def _in_memory_order(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply an entry-wise function along the memory of the last tensor.

    torch's GELU has two formulas, which differ in the last bit, and in a permuted tensor it is the shape that
    says which entry has which.
    """
    shape, strides = tensors[-1].shape, tensors[-1].stride()
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if tensors[-1].is_contiguous() or last != tensors[-1].numel() - 1:
        return function(*(tensor.contiguous() for tensor in tensors))
    laid = [
        tensor
        if tensor.stride() == strides
        else torch.empty_strided(shape, strides, dtype=tensor.dtype, device=tensor.device).copy_(tensor)
        for tensor in tensors
    ]
    flat = function(*(tensor.as_strided((tensor.numel(),), (1,)) for tensor in laid))
    return flat.as_strided(shape, strides)


LAYERS: Mapping[type[nn.Module], Callable[[Any], Layer]] = {
    nn.Linear: lambda _: Linear(),
    nn.ReLU: lambda _: Activation(torch.relu, lambda g, y: torch.ops.aten.threshold_backward(g, y, 0)),
    nn.Tanh: lambda _: Activation(torch.tanh, torch.ops.aten.tanh_backward),
    nn.GELU: _gelu,
    nn.SiLU: lambda _: SiLU(),
    nn.Dropout: lambda module: Dropout(module.p),
}
"""The layer of a module, by the module's class itself: a subclass may do something else."""
