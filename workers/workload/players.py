"""Players: the params of a network that follow one loss. A classifier has one, a GAN has two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from whichopt.workers.workload.stream import Batch

Net = Callable[..., Any]
"""The network: the module itself, or a function that calls it with other params and buffers in the place of
its own (`torch.func.functional_call`). Either way the module updates its buffers itself. It gives a tensor; a
recurrent one, which is called with a carry behind its inputs, gives the next carry as well."""

Carry = dict[str, Tensor]
"""The state that a loss hands to itself at the next step (a recurrent state); empty at the first."""

Loss = Callable[[Net, Batch, Carry], tuple[Tensor, Carry]]
"""The mean loss over the batch, a tensor without dimensions, and the next carry. Pure but for the buffers,
and made of operations that `torch.func.vmap` knows."""

Answer = Callable[[Net, Batch], Tensor]
"""What is judged of a network on a split (N, ...), from the network in eval mode and the split as one batch.
Made of operations that `torch.func.vmap` knows."""


class Slope(Protocol):
    """The function from outputs (..., N, outputs), targets and weights to losses (...) and the gradient of
    each in its outputs."""

    def __call__(
        self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None, /
    ) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Player:
    """Params (by their names in the model) that follow one loss, at every `every`-th step.

    `slope` is there if the loss is no more than what it tells the gradient of: a function of the network's
    outputs for the batch's inputs, of the targets and of their weights, with nothing carried, for all of the
    model's params.
    """

    name: str
    params: tuple[str, ...]
    loss: Loss
    every: int = 1
    slope: Slope | None = None
