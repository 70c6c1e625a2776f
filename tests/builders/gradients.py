"""The gradients of a network as it is, and as they would be without rounding."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from whichopt.workers.workload import Batch, Player


def alone_and_exact(player: Player, model: nn.Module, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients of the player's loss by its params, in float32, and computed in float64.

    The network is left as it was, its running statistics too.
    """

    def gradients(net: nn.Module, inputs: Tensor) -> list[Tensor]:
        loss, _ = player.loss(net, batch._replace(inputs=inputs), {})
        return list(torch.autograd.grad(loss, [net.get_parameter(name) for name in player.params]))

    alone = gradients(copy.deepcopy(model), batch.inputs)
    exact = gradients(copy.deepcopy(model).double(), batch.inputs.double())
    return alone, exact
