"""The step of every optimizer: its class itself, over views of the rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from whichopt.service.space import Config
from whichopt.workers.engine import State, optimizers
from whichopt.workers.engine.stacked.rows import Row, RowGroup


class ClassSteps:
    """Steps by the real class, an instance a row.

    If each entry of a param goes its own way (`entry.stepping.joinable`), the instance has all of the row as
    one param, which spares most of the class's work.
    """

    def __init__(self, group: RowGroup) -> None:
        self.joined = group.entry.stepping.joinable
        self.optimizers = [
            _over(group.entry.name, config, row, joined=self.joined, compiled=group.compiled)
            for config, row in zip(group.configs, group.rows, strict=True)
        ]
        self.lrs = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        for optimizer, state in zip(self.optimizers, group.states, strict=False):
            optimizer.load_state_dict(copy.deepcopy(state))  # which it takes over as it is

    def step(self, shares: Sequence[float | None]) -> None:
        for optimizer, lrs, share in zip(self.optimizers, self.lrs, shares, strict=True):
            if share is None:
                continue
            for group, lr in zip(optimizer.param_groups, lrs, strict=True):
                group["lr"] = lr * share
            optimizers.step(optimizer)

    def states(self) -> list[State]:
        return [optimizer.state_dict() for optimizer in self.optimizers]


def _over(name: str, config: Config, row: Row, *, joined: bool, compiled: bool) -> Optimizer:
    tensors = [(row.joined_params, row.joined_grads)] if joined else zip(row.params, row.grads, strict=True)
    params = []
    for tensor, grad in tensors:
        param = nn.Parameter(tensor)
        param.grad = grad
        params.append(param)
    return optimizers.build(name, config, params, compiled=compiled)
