"""The optimizers of a stack: each row takes its own step, with its own config, to the bit as its class would.

`ClassSteps` is the class itself, over views of the rows: it serves every optimizer. Where the class's Python
costs more than the arithmetic, the catalog's entry names a way that does without: `KernelSteps` hands the
tensors of the class's own state to the kernel that the class would call; `ColumnSteps` takes the rows as
matrices and the hyperparameters as columns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief import compiled as compiled_kernels
from adabelief import native
from adabelief.functional import Coefficients, apply_, coefficients, columns
from adabelief.leaves import Kind
from adabelief.paths import coefficient_columns
from whichopt.service.catalog.optimizers import OptimizerEntry
from whichopt.service.space import Config
from whichopt.workers.engine import State, optimizers

BLOCK = 2**17
"""Entries of a matrix that are stepped at once: with its gradients and state they stay in a core's cache."""


@dataclass(frozen=True)
class Row:
    """A trial's params and gradients: by tensor, and joined, (entries,) each.

    The joined params are the same memory as the tensors; the joined gradients are a copy of them, made before
    the step where somebody reads it.
    """

    params: Sequence[Tensor]
    grads: Sequence[Tensor]
    joined_params: Tensor
    joined_grads: Tensor


class Steps(Protocol):
    """The optimizers of consecutive rows of a stack, which share a catalog entry."""

    joined: bool
    """Whether they read the joined gradients."""

    def step(self, shares: Sequence[float]) -> None:
        """Each row's step, at its share of the learning rate."""
        ...

    def states(self) -> list[State]:
        """Each row's state; its tensors are those in use."""
        ...


class ClassSteps:
    """The real class, an instance a row.

    Where each entry of a param goes its own way (`entry.joinable`), the instance has all of the row as one
    param, which spares most of the class's work.
    """

    def __init__(
        self,
        entry: OptimizerEntry,
        configs: Sequence[Config],
        rows: Sequence[Row],
        states: Sequence[State],
        *,
        compiled: bool = False,
    ) -> None:
        self.joined = entry.joinable
        self.optimizers = [
            _over(entry.name, config, row, joined=self.joined, compiled=compiled)
            for config, row in zip(configs, rows, strict=True)
        ]
        for optimizer, state in zip(self.optimizers, states, strict=False):
            optimizer.load_state_dict(copy.deepcopy(state))  # which it takes over as it is
        self.lrs = [float(config["lr"]) for config in configs]

    def step(self, shares: Sequence[float]) -> None:
        for optimizer, lr, share in zip(self.optimizers, self.lrs, shares, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = lr * share
            optimizer.step()

    def states(self) -> list[State]:
        return [optimizer.state_dict() for optimizer in self.optimizers]


Kernel = Callable[[float], None]
"""One step of one row at that learning rate."""


class KernelSteps(ClassSteps):
    """torch's fused kernels, on the state that the classes have made in their own first step."""

    def __init__(
        self,
        entry: OptimizerEntry,
        configs: Sequence[Config],
        rows: Sequence[Row],
        states: Sequence[State],
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__(entry, configs, rows, states, compiled=compiled)
        self.make = KERNELS[entry.target]
        self.count = torch.zeros((), device=rows[0].joined_params.device)
        self.kernels: list[Kernel] = []
        if states:
            self._take_over()

    def step(self, shares: Sequence[float]) -> None:
        if not self.kernels:
            super().step(shares)
            self._take_over()
            return
        self.count.add_(1)
        for kernel, lr, share in zip(self.kernels, self.lrs, shares, strict=True):
            kernel(lr * share)

    def _take_over(self) -> None:
        states = [state for optimizer in self.optimizers for state in optimizer.state.values()]
        for state in states:
            if "step" in state:
                self.count.copy_(state["step"])
                state["step"] = self.count  # one for all, so that it is counted on once
        self.kernels = [self.make(optimizer) for optimizer in self.optimizers]


class ColumnSteps:
    """AdaBelief's, by the functions that its class calls: rows as matrices and hyperparameters as columns.

    As many rows at once as stay in a core's cache; where one is more than that, it goes piece by piece, with
    numbers for hyperparameters. Its compiled kernel takes a row at once, or a param of one that is larger.
    """

    def __init__(
        self,
        entry: OptimizerEntry,
        configs: Sequence[Config],
        rows: Sequence[Row],
        states: Sequence[State],
        *,
        compiled: bool = False,
    ) -> None:
        self.arguments: list[dict[str, Any]] = [{**config, **entry.fixed} for config in configs]
        self.theta, self.g = (_matrix([getattr(row, name) for row in rows]) for name in JOINED)
        self.m, self.s = (torch.zeros_like(self.theta) for _ in range(2))
        self.t = 0
        for i, state in enumerate(states):
            self.m[i], self.s[i], self.t = state["m"], state["s"], state["t"]
        self.kind: Kind = (self.theta.dtype, self.m.dtype, self.theta.device, False)
        self.run = compiled_kernels.kernel(*self.kind) if compiled else None
        self.height = BLOCK // self.theta.shape[1]
        self.joined = self.height > 0
        self.sizes = [param.numel() for param in rows[0].params]
        if self.run is not None:
            self.vectors = [self._vectors(row, i) for i, row in enumerate(rows)]
            return
        self.work = self.theta.new_empty(max(self.height, 1), min(self.theta.shape[1], BLOCK))
        self.pieces = [] if self.joined else [list(self._pieces(row, i)) for i, row in enumerate(rows)]
        self.blocks = list(self._blocks(len(rows))) if self.joined else []
        self.parts = [list(self._parts(block, i)) for block in self.blocks for i in range(*block)]

    def step(self, shares: Sequence[float]) -> None:
        self.t += 1
        steps = [
            coefficients(t=self.t, **{**arguments, "lr": arguments["lr"] * share})
            for arguments, share in zip(self.arguments, shares, strict=True)
        ]
        if self.run is not None:
            for vectors, column in zip(self.vectors, coefficient_columns(steps, self.m), strict=True):
                for tensors in vectors:
                    self.run([*tensors, column])
            return
        for start, end in self.blocks:
            self._block(start, steps[start:end])
        for pieces, c in zip(self.pieces, steps, strict=False):
            for piece in pieces:
                _alone(piece, c, self.kind)

    def _block(self, start: int, steps: Sequence[Coefficients]) -> None:
        theta, g, m, s = (x[start : start + len(steps)] for x in (self.theta, self.g, self.m, self.s))
        work = self.work[: len(steps)]
        suited = [native.suits(c, self.kind) for c in steps]
        if all(suited):
            native.deviate_(theta, g, m, s, steps, work)
            for (own, d, means, variances), c in zip(self.parts[start:], steps, strict=False):
                native.descend_(own, d, means, variances, [], c)
            return
        together = columns(steps, theta) if len(steps) > 1 and not any(suited) else None
        if together is not None:
            apply_(theta, g, m, s, None, together, work)
            return
        for row, c in enumerate(steps):
            for piece in zip(*(torch.split(x[row], self.sizes) for x in (theta, g, m, s, work)), strict=True):
                _alone(piece, c, self.kind)

    def _blocks(self, rows: int) -> Iterator[tuple[int, int]]:
        """The first row of each block, and the row after its last."""
        count = -(-rows // self.height)
        return pairwise(rows * block // count for block in range(count + 1))

    def _parts(
        self, block: tuple[int, int], i: int
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Of row `i`, by param: theta, the deviations, m, s."""
        tensors = (self.theta[i], self.work[i - block[0]], self.m[i], self.s[i])
        theta, d, m, s = (list(torch.split(x, self.sizes)) for x in tensors)
        return theta, d, m, s

    def _pieces(self, row: Row, i: int) -> Iterator[tuple[Tensor, ...]]:
        """Of row `i`: theta, g, m, s, and memory for the values in between."""
        for vectors in self._by_param(row, i):
            for piece in zip(*(torch.split(vector, BLOCK) for vector in vectors), strict=True):
                yield *piece, self.work[0, : len(piece[0])]

    def _vectors(self, row: Row, i: int) -> list[tuple[Tensor, ...]]:
        """What of row `i` a compiled kernel takes at once, theta, g, m, s: all of it, where to join the
        gradients costs less than a call for each param."""
        if self.joined:
            return [(self.theta[i], self.g[i], self.m[i], self.s[i])]
        return list(self._by_param(row, i))

    def _by_param(self, row: Row, i: int) -> Iterator[tuple[Tensor, ...]]:
        """Of row `i`: theta, g, m, s."""
        moments = (torch.split(x[i], self.sizes) for x in (self.m, self.s))
        for tensors in zip(row.params, row.grads, *moments, strict=True):
            yield tuple(x.flatten() for x in tensors)

    def states(self) -> list[State]:
        return [{"m": m, "s": s, "t": self.t} for m, s in zip(self.m, self.s, strict=True)]


def _alone(piece: Sequence[Tensor], c: Coefficients, kind: Kind) -> None:
    """AdaBelief's step of part of a row: theta, g, m, s, and memory for the values in between."""
    *tensors, work = piece
    if native.suits(c, kind):
        native.update_([[x] for x in tensors], c, work)
    else:
        theta, g, m, s = tensors
        apply_(theta, g, m, s, None, c, work)


def _adam(optimizer: Optimizer) -> Kernel:
    """`torch.optim.Adam` and `AdamW`, fused."""
    (group,) = optimizer.param_groups
    params, grads, means, squares, maxima, counts = ([] for _ in range(6))  # type: ignore[var-annotated]
    optimizer._init_group(group, params, grads, means, squares, maxima, counts)  # type: ignore[attr-defined]
    beta1, beta2 = group["betas"]
    kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_

    def step(lr: float) -> None:
        kernel(
            params,
            grads,
            means,
            squares,
            maxima,
            counts,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    return step


def _sgd(optimizer: Optimizer) -> Kernel:
    """`torch.optim.SGD`, fused."""
    (group,) = optimizer.param_groups
    params, grads, means = ([] for _ in range(3))  # type: ignore[var-annotated]
    optimizer._init_group(group, params, grads, means)  # type: ignore[attr-defined]
    momentum = group["momentum"]

    def step(lr: float) -> None:
        torch._fused_sgd_(
            params,
            grads,
            means if momentum else [],
            weight_decay=group["weight_decay"],
            momentum=momentum,
            lr=lr,
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=False,
        )

    return step


KERNELS: Mapping[str, Callable[[Optimizer], Kernel]] = {
    "torch.optim.SGD": _sgd,
    "torch.optim.Adam": _adam,
    "torch.optim.AdamW": _adam,
}
"""What the class at an entry's target calls for its step, once it has a state."""

STEPS: Mapping[str, Callable[..., Steps]] = {
    "class": ClassSteps,
    "kernel": KernelSteps,
    "columns": ColumnSteps,
}
"""The ways of stepping, by the name that the catalog's entries give."""

JOINED = ("joined_params", "joined_grads")


def _over(name: str, config: Config, row: Row, *, joined: bool, compiled: bool) -> Optimizer:
    tensors = [(row.joined_params, row.joined_grads)] if joined else zip(row.params, row.grads, strict=True)
    params = []
    for tensor, grad in tensors:
        param = nn.Parameter(tensor)
        param.grad = grad
        params.append(param)
    return optimizers.build(name, config, params, compiled=compiled)


def _matrix(rows: Sequence[Tensor]) -> Tensor:
    """Consecutive rows of a matrix as the matrix that they are."""
    first = rows[0]
    return first.as_strided((len(rows), len(first)), (len(first), 1))
