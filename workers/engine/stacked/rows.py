"""The rows of a stack as their optimizers see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.space import Config
from whichopt.workers.engine import State


@dataclass(frozen=True)
class Row:
    """A trial's params and gradients: by tensor, and joined, (entries,) each.

    The joined params are the same memory as the tensors; the joined gradients are a copy of them, made before
    the step if somebody reads it.
    """

    params: Sequence[Tensor]
    grads: Sequence[Tensor]
    joined_params: Tensor
    joined_grads: Tensor


@dataclass(frozen=True)
class RowGroup:
    """Consecutive rows of a stack whose optimizers share a catalog entry, with a config each."""

    entry: OptimizerEntry
    configs: Sequence[Config]
    rows: Sequence[Row]
    states: Sequence[State] = ()
    """States from `Steps.states`, to continue from; empty at the start."""
    compiled: bool = False
    """True if they step by a compiled kernel, provided that the entry has one."""


def all_step(shares: Sequence[float | None]) -> list[float]:
    """Return the shares of rows that count their steps together.

    Raises:
        ValueError: a row has no share, and so does not step.
    """
    steps = [share for share in shares if share is not None]
    if len(steps) < len(shares):
        raise ValueError("rows that count their steps together all step, and one of these does not")
    return steps


class Steps(Protocol):
    """The optimizers of rows, as made by one of the functions of `RowGroup` in `optimizers.STEPS`."""

    joined: bool
    """True if they read the joined gradients."""

    def step(self, shares: Sequence[float | None]) -> None:
        """Each row's step, at its share of the learning rate.

        A row without a share does not step. Only `ClassSteps` has such: the others count steps for all rows.
        """
        ...

    def states(self) -> list[State]:
        """Each row's state; its tensors are those in use."""
        ...
