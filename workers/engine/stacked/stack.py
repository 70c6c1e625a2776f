"""A stack: the networks of trials as one, each with its optimizer. Of curves and rungs it knows nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import State
from whichopt.workers.engine.stacked.layers import Generators
from whichopt.workers.engine.stacked.learners import learners, padded
from whichopt.workers.engine.stacked.nets import Nets
from whichopt.workers.workload import Answer, Batch, Net, Workload

LEAST = 2
"""Networks in a stack: products of one alone go through other kernels, with other last bits."""


class Stack:
    """Networks and optimizers of trials, one a row; the rows of an optimizer stand together.

    A row more is there if a trial stands alone: a copy of it, which is computed and never stepped.
    """

    def __init__(self, workload: Workload, nets: Nets, plans: Sequence[TrialPlan]) -> None:
        self.nets = nets
        self.plans = list(plans)
        self.rows = max(LEAST, len(plans))
        inits = [plan.seeds.init for plan in plans]
        inits += inits[-1:] * (self.rows - len(plans))
        model = workload.model(inits[0])
        self.players = [learners(player, plans, model, self.rows) for player in workload.players]
        self.buffers = {
            name: tensor.expand(self.rows, *tensor.shape).clone() for name, tensor in model.named_buffers()
        }
        self.params = {name: tensor for its in self.players for name, tensor in its.params.items()}
        for init in set(inits):
            self._start([row for row, own in enumerate(inits) if own == init], workload.model(init))

    @torch.no_grad()
    def _start(self, rows: Sequence[int], model: nn.Module) -> None:
        """Puts the networks of those rows where `model` stands: one model is in memory at a time."""
        for tensors in (self.params, self.buffers):
            for name, tensor in tensors.items():
                tensor[rows] = model.get_parameter(name) if name in self.params else model.get_buffer(name)

    def step(
        self, number: int, batch: Batch, shares: Sequence[float | None], random: Generators | None
    ) -> Tensor:
        """Step `number` of all, each at its share of the learning rate; the losses before it (rows,).

        A row without a share only gathers its gradients.
        """
        losses = []
        for its in self.players:
            if number % its.player.every == 0:
                own, its.carry = self.nets.gradients(
                    its.player, self.params, self.buffers, batch, its.carry, its.grads, random
                )
                losses.append(own)
                its.step(shares, batch.targets.shape[1])
        return sum(losses[1:], start=losses[0])

    def filled(self, count: int, *, last: bool) -> list[int | None]:
        """Return how many examples each trial's batch has after `count` more; None if it is not full then."""
        return self.players[0].filled(count, last=last)

    def gauges(self, row: int) -> Mapping[str, float]:
        """Return what that trial's curves show of its batch."""
        return self.players[0].gauges(row)

    @torch.no_grad()
    def outputs(self, inputs: Tensor, rows: slice) -> Tensor:
        """Return the outputs of those networks in evaluation for inputs (rows, N, ...)."""
        return self.nets.outputs(*self._tensors(rows), inputs)

    @torch.no_grad()
    def answers(self, answer: Answer, whole: Batch, rows: slice) -> Tensor:
        """Return what `answer` makes of those networks in evaluation, each on its split: (rows, N, ...)."""
        return self.nets.answers(answer, *self._tensors(rows), whole)

    def _tensors(self, rows: slice) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The params and the buffers of those networks."""
        params = {name: tensor[rows] for name, tensor in self.params.items()}
        return params, {name: tensor[rows] for name, tensor in self.buffers.items()}

    def net(self, row: int) -> Net:
        """Return that network in evaluation, to be called alone."""
        params, buffers = self._tensors(slice(row, row + 1))
        return self.nets.one({name: tensor[0] for name, tensor in {**params, **buffers}.items()})

    def network(self, row: int) -> dict[str, Tensor]:
        """Return the params and buffers of that network by name, on the CPU."""
        tensors = {**self.params, **self.buffers}
        return {name: tensor[row].detach().cpu().clone() for name, tensor in tensors.items()}

    def own_seconds(self) -> list[float]:
        """Return the time of each trial's optimizer since the start: an equal share of its group's."""
        rows = [0.0] * len(self.plans)
        for its in self.players:
            for (start, stop, _), taken in zip(its.groups, its.seconds, strict=True):
                for row in range(start, stop):
                    rows[row] += taken / (stop - start)
        return rows

    def state(self) -> State:
        """All that `load` needs; its tensors are those in use."""
        count = len(self.plans)
        return {
            "players": [its.state() for its in self.players],
            "buffers": {name: tensor[:count] for name, tensor in self.buffers.items()},
        }

    def load(self, state: State, rows: Sequence[int]) -> None:
        """Makes those rows of another stack's state this one's; nothing is shared after."""
        for player, saved in zip(self.players, state["players"], strict=True):
            player.load(saved, rows)
        for name, tensor in self.buffers.items():
            tensor.copy_(padded(state["buffers"][name], rows, self.rows))
