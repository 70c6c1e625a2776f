"""AdaBelief's step of many rows, by the functions that its class calls.

RowGroup are taken as matrices and hyperparameters as columns, in one of three ways: by the compiled kernel
(`CompiledRows`), many rows at once (`RowBlocks`), or, if a row is larger than a core's cache, piece by piece
(`RowPieces`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from adabelief.functional import Coefficients, apply_, coefficients, columns
from adabelief.steps import adam_fallback, compiled_kernel
from adabelief.steps.compiled_kernel import Kernel
from adabelief.steps.param_views import Kind
from adabelief.steps.paths import coefficient_columns
from whichopt.workers.engine import State
from whichopt.workers.engine.stacked.rows import Row, RowGroup, Steps, all_step

BLOCK = 2**17
"""Entries of a matrix that are stepped at once: with its gradients and state they stay in a core's cache."""


def adabelief_steps(group: RowGroup) -> Steps:
    """Return the rows' optimizers: by the compiled kernel if that is asked for and works, else by size."""
    first = group.rows[0].joined_params
    run = compiled_kernel.kernel(*_kind(first)) if group.compiled else None
    if run is not None:
        return CompiledRows(group, run)
    return RowBlocks(group) if len(first) <= BLOCK else RowPieces(group)


class _Matrices:
    """Params, gradients and moments of consecutive rows as matrices, and the count of their steps."""

    def __init__(self, group: RowGroup) -> None:
        self.arguments: list[dict[str, Any]] = [
            {**group.entry.own(config), **group.entry.build.fixed} for config in group.configs
        ]
        self.theta = _matrix([row.joined_params for row in group.rows])
        self.g = _matrix([row.joined_grads for row in group.rows])
        self.m, self.s = (torch.zeros_like(self.theta) for _ in range(2))
        self.t = 0
        for i, state in enumerate(group.states):
            self.m[i], self.s[i], self.t = state["m"], state["s"], state["t"]
        self.kind = _kind(self.theta)
        self.sizes = [param.numel() for param in group.rows[0].params]

    def states(self) -> list[State]:
        return [{"m": m, "s": s, "t": self.t} for m, s in zip(self.m, self.s, strict=True)]

    def _next(self, shares: Sequence[float | None]) -> list[Coefficients]:
        """Count a step, and return each row's coefficients of it."""
        self.t += 1
        return [
            coefficients(t=self.t, **{**arguments, "lr": arguments["lr"] * share})
            for arguments, share in zip(self.arguments, all_step(shares), strict=True)
        ]

    def _by_param(self, row: Row, i: int) -> Iterator[tuple[Tensor, ...]]:
        """Yield theta, g, m and s of row `i` as vectors."""
        moments = (torch.split(x[i], self.sizes) for x in (self.m, self.s))
        for tensors in zip(row.params, row.grads, *moments, strict=True):
            yield tuple(x.flatten() for x in tensors)


class CompiledRows(_Matrices):
    """Steps by the compiled kernel: a call for each row, or for each param of a row that is large.

    Joining the gradients of a small row costs less than a call for each of its params.
    """

    def __init__(self, group: RowGroup, run: Kernel) -> None:
        super().__init__(group)
        self.run = run
        self.joined = self.theta.shape[1] <= BLOCK
        self.vectors: list[list[tuple[Tensor, ...]]]
        if self.joined:
            self.vectors = [[row] for row in zip(self.theta, self.g, self.m, self.s, strict=True)]
        else:
            self.vectors = [list(self._by_param(row, i)) for i, row in enumerate(group.rows)]

    def step(self, shares: Sequence[float | None]) -> None:
        numbers = coefficient_columns(self._next(shares), self.m)
        for vectors, column in zip(self.vectors, numbers, strict=True):
            for tensors in vectors:
                self.run([*tensors, column])


class RowBlocks(_Matrices):
    """Steps as many rows at once as stay in a core's cache."""

    joined = True

    def __init__(self, group: RowGroup) -> None:
        super().__init__(group)
        count, entries = self.theta.shape
        height = BLOCK // entries
        self.work = self.theta.new_empty(height, entries)
        self.blocks = list(_blocks(count, height))
        self.parts = [self._parts(start, i) for start, end in self.blocks for i in range(start, end)]

    def step(self, shares: Sequence[float | None]) -> None:
        steps = self._next(shares)
        for start, end in self.blocks:
            self._block(start, steps[start:end])

    def _block(self, start: int, steps: Sequence[Coefficients]) -> None:
        theta, g, m, s = (x[start : start + len(steps)] for x in (self.theta, self.g, self.m, self.s))
        work = self.work[: len(steps)]
        suited = [adam_fallback.suits(c, self.kind) for c in steps]
        if all(suited):
            adam_fallback.deviate_(theta, g, m, s, steps, work)
            for (own, d, means, variances), c in zip(self.parts[start:], steps, strict=False):
                adam_fallback.descend_(own, d, means, variances, [], c)
            return
        together = columns(steps, theta) if len(steps) > 1 and not any(suited) else None
        if together is not None:
            apply_(theta, g, m, s, None, together, work)
            return
        for row, c in enumerate(steps):
            for piece in zip(*(torch.split(x[row], self.sizes) for x in (theta, g, m, s, work)), strict=True):
                _step_piece(piece, c, self.kind)

    def _parts(self, start: int, i: int) -> list[list[Tensor]]:
        """Yield theta, the deviations, m and s of row `i` of the block from `start`, by param."""
        tensors = (self.theta[i], self.work[i - start], self.m[i], self.s[i])
        return [list(torch.split(x, self.sizes)) for x in tensors]


class RowPieces(_Matrices):
    """Steps rows that are larger than a core's cache one after the other, each piece by piece."""

    joined = False

    def __init__(self, group: RowGroup) -> None:
        super().__init__(group)
        self.work = self.theta.new_empty(BLOCK)
        self.pieces = [list(self._pieces(row, i)) for i, row in enumerate(group.rows)]

    def step(self, shares: Sequence[float | None]) -> None:
        for pieces, c in zip(self.pieces, self._next(shares), strict=True):
            for piece in pieces:
                _step_piece(piece, c, self.kind)

    def _pieces(self, row: Row, i: int) -> Iterator[tuple[Tensor, ...]]:
        """Yield theta, g, m and s of row `i`, and memory for the values in between."""
        for vectors in self._by_param(row, i):
            for piece in zip(*(torch.split(vector, BLOCK) for vector in vectors), strict=True):
                yield *piece, self.work[: len(piece[0])]


def _blocks(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """The first row of each block, and the row after its last: as few equal blocks as may be."""
    count = -(-rows // height)
    return pairwise(rows * block // count for block in range(count + 1))


def _step_piece(piece: Sequence[Tensor], c: Coefficients, kind: Kind) -> None:
    """Step part of a row: theta, g, m, s, and memory for the values in between."""
    *tensors, work = piece
    if adam_fallback.suits(c, kind):
        adam_fallback.update_([[x] for x in tensors], c, work)
    else:
        theta, g, m, s = tensors
        apply_(theta, g, m, s, None, c, work)


def _kind(theta: Tensor) -> Kind:
    """The kind of tensors like `theta`, whose moments are of its dtype."""
    return theta.dtype, theta.dtype, theta.device, False


def _matrix(rows: Sequence[Tensor]) -> Tensor:
    """Consecutive rows of a matrix as the matrix that they are."""
    first = rows[0]
    return first.as_strided((len(rows), len(first)), (len(first), 1))
