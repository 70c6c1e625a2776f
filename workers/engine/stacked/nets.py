"""The networks of a stack: outputs of all of them, and the gradients of all their losses.

`Layered` runs stacked layers, if every module of the model has one; `Mapped` runs any model and any loss
that `torch.func.vmap` can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from whichopt.workers.engine.stacked.chain import Chain, chain_of
from whichopt.workers.engine.stacked.layers import Generators
from whichopt.workers.workload import Answer, Batch, Carry, Net, Player, Slope, Workload
from whichopt.workers.workload.text_networks import ForStacks

Tensors = Mapping[str, Tensor]
"""Params or buffers of n networks by name, each (n, ...)."""


class Nets(Protocol):
    random: bool
    """Tell if training draws random numbers."""

    def gradients(
        self,
        player: Player,
        params: Tensors,
        buffers: Tensors,
        batch: Batch,
        carry: Carry,
        grads: Tensors,
        random: Generators | None,
    ) -> tuple[Tensor, Carry]:
        """Writes the gradients of the player's losses into `grads`; the losses (n,) and the next carry."""
        ...

    def outputs(self, params: Tensors, buffers: Tensors, inputs: Tensor) -> Tensor:
        """Return the networks' outputs in evaluation for inputs (n, N, ...): (n, N, ...)."""
        ...

    def answers(self, answer: Answer, params: Tensors, buffers: Tensors, whole: Batch) -> Tensor:
        """Return what `answer` makes of each network in evaluation and its own split: (n, N, ...)."""
        ...

    def one(self, tensors: Tensors) -> Net:
        """Return the network of those params and buffers, each without the n, in evaluation."""
        ...


class Layered:
    """A chain of layers, and the slope of a loss of what comes out of it."""

    def __init__(self, chain: Chain, slope: Slope) -> None:
        self.chain = chain
        self.slope = slope
        self.random = chain.random

    @torch.no_grad()
    def gradients(
        self,
        player: Player,  # noqa: ARG002
        params: Tensors,
        buffers: Tensors,
        batch: Batch,
        carry: Carry,
        grads: Tensors,
        random: Generators | None,
    ) -> tuple[Tensor, Carry]:
        own, into = ([of[name] for name in self.chain.params] for of in (params, grads))
        behind = [buffers[name] for name in self.chain.buffers]
        y, kept = self.chain.forward(batch.inputs, [*own, *behind], random or ())
        losses, g = self.slope(y, batch.targets, batch.weights)
        self.chain.backward(g, kept, own, into, False)
        return losses, carry

    def outputs(self, params: Tensors, buffers: Tensors, inputs: Tensor) -> Tensor:
        own, behind = (
            [params[name] for name in self.chain.params],
            [buffers[name] for name in self.chain.buffers],
        )
        return self.chain.forward(inputs, [*own, *behind], None)[0]

    def answers(self, answer: Answer, params: Tensors, buffers: Tensors, whole: Batch) -> Tensor:
        raise NotImplementedError("a chain of layers gives outputs; what else is judged is run by vmap")

    def one(self, tensors: Tensors) -> Net:
        return lambda inputs: self.outputs(
            {name: tensors[name].unsqueeze(0) for name in self.chain.params},
            {name: tensors[name].unsqueeze(0) for name in self.chain.buffers},
            inputs.unsqueeze(0),
        )[0]


class Mapped:
    """Any model and loss, by `vmap` over `functional_call`; what they do at random they cannot be asked to do
    as each trial's own seed says."""

    random = False

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        for part in model.modules():
            if isinstance(part, ForStacks):
                part.in_stack = True

    def gradients(
        self,
        player: Player,
        params: Tensors,
        buffers: Tensors,
        batch: Batch,
        carry: Carry,
        grads: Tensors,
        random: Generators | None,  # noqa: ARG002
    ) -> tuple[Tensor, Carry]:
        leaves = {name: params[name].detach().requires_grad_() for name in player.params}
        others = {name: tensor for name, tensor in params.items() if name not in leaves}

        def loss(params: Tensors, rest: Tensors, part: Batch, carried: Carry) -> tuple[Tensor, Carry]:
            return player.loss(lambda *inputs: _call(self.model, {**params, **rest}, inputs), part, carried)

        self.model.train()
        rows = Batch._make(None if part is None else 0 for part in batch)
        losses, carry = vmap(loss, in_dims=(0, 0, rows, 0))(leaves, {**others, **buffers}, batch, carry)
        gradients = torch.autograd.grad(losses, list(leaves.values()), torch.ones_like(losses))
        torch._foreach_copy_([grads[name] for name in leaves], list(gradients))
        return losses.detach(), {name: tensor.detach() for name, tensor in carry.items()}

    def outputs(self, params: Tensors, buffers: Tensors, inputs: Tensor) -> Tensor:
        self.model.eval()
        called = vmap(lambda tensors, x: _call(self.model, tensors, (x,)))
        outputs: Tensor = called({**params, **buffers}, inputs)
        return outputs

    def answers(self, answer: Answer, params: Tensors, buffers: Tensors, whole: Batch) -> Tensor:
        def answered(tensors: Tensors, part: Batch) -> Tensor:
            return answer(lambda *inputs: _call(self.model, tensors, inputs), part)

        self.model.eval()
        rows = Batch._make(None if part is None else 0 for part in whole)
        return vmap(answered, in_dims=(0, rows))({**params, **buffers}, whole)

    def one(self, tensors: Tensors) -> Net:
        self.model.eval()
        return lambda *inputs: _call(self.model, tensors, inputs)


def nets(workload: Workload) -> Nets:
    """Return the way in which the workload's networks are stacked."""
    model = workload.model(0)
    if len(workload.players) == 1:
        (player,) = workload.players
        chain = chain_of(model)
        if player.slope is not None and chain is not None and workload.answer is None:
            return Layered(chain, player.slope)
    return Mapped(model)


def _call(module: nn.Module, tensors: Tensors, inputs: tuple[Any, ...]) -> Any:
    return functional_call(module, dict(tensors), inputs)
