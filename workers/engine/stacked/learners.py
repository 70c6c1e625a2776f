"""The players of a stack: the params of all rows side by side, their gradients, their optimizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from adadagrad import Gathered
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import State
from whichopt.workers.engine.entries import optimizer
from whichopt.workers.engine.growing import growth, shown
from whichopt.workers.engine.stacked.class_steps import ClassSteps
from whichopt.workers.engine.stacked.optimizers import STEPS
from whichopt.workers.engine.stacked.rows import Row, RowGroup, Steps
from whichopt.workers.workload import Carry, Player


def learners(player: Player, plans: Sequence[TrialPlan], model: nn.Module, rows: int) -> Learners:
    """Return the player in all rows; the batches of all of them grow, or those of none."""
    kind = Learners if plans[0].training.growing is None else GrowingLearners
    return kind(player, plans, model, rows)


class Learners:
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

    def filled(self, count: int, *, last: bool) -> list[int | None]:  # noqa: ARG002 -- batches that grow need it
        """Return how many examples each trial's batch has after `count` more; None if it is not full then."""
        return [count] * len(self.plans)

    def gauges(self, row: int) -> Mapping[str, float]:  # noqa: ARG002
        """Return what a trial's curves show of its batch."""
        return {}

    def step(self, shares: Sequence[float | None], count: int) -> None:  # noqa: ARG002
        """Step all, by the gradients of `count` examples each."""
        self._step(shares)

    def _step(self, shares: Sequence[float | None]) -> None:
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
        self.flat.copy_(padded(state["params"], rows, count))
        self.carry = {name: padded(tensor, rows, count) for name, tensor in state["carry"].items()}
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
            groups.append((rows[0], rows[-1] + 1, self._steps(group)))
        return groups

    def _steps(self, group: RowGroup) -> Steps:
        return STEPS[group.entry.stepping.rows](group)

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


class GrowingLearners(Learners):
    """A player whose rows gather their gradients, each until its own batch is full.

    The rows step by the classes themselves: each counts its own steps.
    """

    def __init__(self, player: Player, plans: Sequence[TrialPlan], model: nn.Module, rows: int) -> None:
        super().__init__(player, plans, model, rows)
        self.gathered = Gathered(
            [grown for plan in plans if (grown := growth(plan.training)) is not None], self.flat[0]
        )

    def filled(self, count: int, *, last: bool) -> list[int | None]:
        return self.gathered.after(count, last=last)

    def gauges(self, row: int) -> Mapping[str, float]:
        return shown(self.gathered.sizes[row], self.gathered.tests[row])

    @torch.no_grad()
    def step(self, shares: Sequence[float | None], count: int) -> None:
        torch.cat([grad.flatten(1) for grad in self.grads.values()], dim=1, out=self.joined)
        self.gathered.add(self.joined[: len(self.plans)], count)
        due = [row for row, share in enumerate(shares) if share is not None]
        if not due:
            return
        sizes = [grad[0].numel() for grad in self.grads.values()]
        for row in due:
            parts = torch.split(self.gathered.mean(row), sizes)
            for grad, part in zip(self.grads.values(), parts, strict=True):
                grad[row].copy_(part.view_as(grad[row]))
        self.gathered.close(due)
        self._step(shares)

    def _steps(self, group: RowGroup) -> Steps:
        return ClassSteps(group)

    def state(self) -> State:
        return {**super().state(), "gathered": self.gathered.state()}

    def load(self, state: State, rows: Sequence[int]) -> None:
        super().load(state, rows)
        self.gathered.load(state["gathered"], rows[: len(self.plans)])


def padded(tensor: Tensor, rows: Sequence[int], count: int) -> Tensor:
    """Return the rows of a tensor, the last of them repeated until there are `count`."""
    return tensor[[*rows, *[rows[-1]] * (count - len(rows))]]
