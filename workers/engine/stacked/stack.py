"""A stack: the networks of trials as one, each with its optimizer. Of curves and rungs it knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import State
from whichopt.workers.engine.entries import optimizer
from whichopt.workers.engine.stacked.layers import Generators
from whichopt.workers.engine.stacked.nets import Nets
from whichopt.workers.engine.stacked.optimizers import STEPS
from whichopt.workers.engine.stacked.rows import Row, RowGroup, Steps
from whichopt.workers.workload import Answer, Batch, Carry, Net, Player, Workload

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
        self.players = [_Learners(player, plans, model, self.rows) for player in workload.players]
        self.buffers = {
            name: tensor.expand(self.rows, *tensor.shape).clone() for name, tensor in model.named_buffers()
        }
        self.params = {name: tensor for player in self.players for name, tensor in player.params.items()}
        for init in set(inits):
            self._start([row for row, own in enumerate(inits) if own == init], workload.model(init))

    @torch.no_grad()
    def _start(self, rows: Sequence[int], model: nn.Module) -> None:
        """Puts the networks of those rows where `model` stands: one model is in memory at a time."""
        for tensors in (self.params, self.buffers):
            for name, tensor in tensors.items():
                tensor[rows] = model.get_parameter(name) if name in self.params else model.get_buffer(name)

    def step(self, number: int, batch: Batch, shares: Sequence[float], random: Generators | None) -> Tensor:
        """Step `number` of all, each at its share of the learning rate; the losses before it (rows,)."""
        losses = []
        for learners in self.players:
            if number % learners.player.every == 0:
                own, learners.carry = self.nets.gradients(
                    learners.player, self.params, self.buffers, batch, learners.carry, learners.grads, random
                )
                losses.append(own)
                learners.step(shares)
        return sum(losses[1:], start=losses[0])

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
        for learners in self.players:
            for (start, stop, _), taken in zip(learners.groups, learners.seconds, strict=True):
                for row in range(start, stop):
                    rows[row] += taken / (stop - start)
        return rows

    def state(self) -> State:
        """All that `load` needs; its tensors are those in use."""
        count = len(self.plans)
        return {
            "players": [learners.state() for learners in self.players],
            "buffers": {name: tensor[:count] for name, tensor in self.buffers.items()},
        }

    def load(self, state: State, rows: Sequence[int]) -> None:
        """Makes those rows of another stack's state this one's; nothing is shared after."""
        for learners, saved in zip(self.players, state["players"], strict=True):
            learners.load(saved, rows)
        for name, tensor in self.buffers.items():
            tensor.copy_(_padded(state["buffers"][name], rows, self.rows))


class _Learners:
    """A player in all rows: its params side by side, their gradients, its optimizers."""

    def __init__(self, player: Player, plans: Sequence[TrialPlan], model: nn.Module, rows: int) -> None:
        self.player = player
        self.plans = plans
        self.carry: Carry = {}
        like = [model.get_parameter(name) for name in player.params]
        shapes = [param.shape for param in like]
        self.flat = torch.empty(
            rows, sum(shape.numel() for shape in shapes), dtype=like[0].dtype, device=like[0].device
        )
        self.joined = torch.zeros_like(self.flat)
        parts = torch.split(self.flat, [shape.numel() for shape in shapes], dim=1)
        self.params = {
            name: part.view(-1, *shape)
            for name, part, shape in zip(player.params, parts, shapes, strict=True)
        }
        self.grads = {
            name: torch.zeros(param.shape, dtype=param.dtype, device=param.device)
            for name, param in self.params.items()
        }
        self.clips = [
            (_parameters(self._row(row)), plan.training.clip_norm)
            for row, plan in enumerate(plans)
            if plan.training.clip_norm is not None
        ]
        self.groups = self._grouped([])
        self.seconds = [0.0] * len(self.groups)

    def step(self, shares: Sequence[float]) -> None:
        for params, norm in self.clips:
            clip_grad_norm_(params, norm)
        before = perf_counter()
        for at, (start, stop, steps) in enumerate(self.groups):
            if steps.joined:
                parts = [grad[start:stop].flatten(1) for grad in self.grads.values()]
                torch.cat(parts, dim=1, out=self.joined[start:stop])
            steps.step(shares[start:stop])
            after = perf_counter()
            self.seconds[at] += after - before
            before = after

    def state(self) -> State:
        count = len(self.plans)
        return {
            "params": self.flat[:count],
            "carry": {name: tensor[:count] for name, tensor in self.carry.items()},
            "steps": [state for _, _, steps in self.groups for state in steps.states()],
        }

    def load(self, state: State, rows: Sequence[int]) -> None:
        count = len(self.flat)
        self.flat.copy_(_padded(state["params"], rows, count))
        self.carry = {name: _padded(tensor, rows, count) for name, tensor in state["carry"].items()}
        self.groups = self._grouped([state["steps"][row] for row in rows])

    def _grouped(self, states: Sequence[State]) -> list[tuple[int, int, Steps]]:
        """The optimizers of consecutive rows: the first row, the row after the last, how they step."""
        groups = []
        for (name, compiled), members in groupby(range(len(self.plans)), key=self._way):
            rows = list(members)
            group = RowGroup(
                entry=optimizer(name),
                configs=[self.plans[row].config for row in rows],
                rows=[self._row(row) for row in rows],
                states=[states[row] for row in rows] if states else [],
                compiled=compiled,
            )
            if not group.entry.stackable:
                raise ValueError(f"{name} cannot be stacked: only the solo executor can train it")
            groups.append((rows[0], rows[-1] + 1, STEPS[group.entry.stepping.rows](group)))
        return groups

    def _way(self, row: int) -> tuple[str, bool]:
        plan = self.plans[row]
        return plan.optimizer, plan.training.compiled

    def _row(self, row: int) -> Row:
        return Row(
            params=[param[row] for param in self.params.values()],
            grads=[grad[row] for grad in self.grads.values()],
            joined_params=self.flat[row],
            joined_grads=self.joined[row],
        )


def _parameters(row: Row) -> list[nn.Parameter]:
    params = [nn.Parameter(param) for param in row.params]
    for param, grad in zip(params, row.grads, strict=True):
        param.grad = grad
    return params


def _padded(tensor: Tensor, rows: Sequence[int], count: int) -> Tensor:
    """Return the rows of a tensor, the last of them repeated until there are `count`."""
    return tensor[[*rows, *[rows[-1]] * (count - len(rows))]]
