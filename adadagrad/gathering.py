"""Batches that are gathered from micro-batches, and grow: of one training, or of many side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adadagrad.growth import next_size, norm_test, variance


@dataclass(frozen=True)
class Growth:
    """The way in which a batch grows: by the norm test with `eta`, from `start` examples to `most`.

    A batch has at most `factor` times as many examples as the one before. Sizes are whole micro-batches of
    `micro` examples: `start` is rounded up and `most` down.
    """

    eta: float
    start: int = 32
    factor: float = 2.0
    most: int = 4096
    micro: int = 8

    def __post_init__(self) -> None:
        """Refuse what could not grow.

        Raises:
            ValueError: eta is not between 0 and 1, the batch starts with less than 2 micro-batches, or there
                is no room to grow in.
        """
        if not 0 < self.eta < 1:
            raise ValueError(f"eta is {self.eta:g}; it must be between 0 and 1, as from 1 on nothing grows")
        if self.micro < 1 or self.start < 2 * self.micro:
            raise ValueError(
                f"start is {self.start}, and micro {self.micro}: a batch needs 2 micro-batches or more, to "
                "tell their noise"
            )
        if self.factor <= 1:
            raise ValueError(f"factor is {self.factor:g}; it must be above 1")
        if self.most < self.start:
            raise ValueError(f"most is {self.most}, and the batch starts with {self.start} examples")

    @property
    def first(self) -> int:
        """The examples of the first batch."""
        return math.ceil(self.start / self.micro) * self.micro


class Gathered:
    """The batches of some trainings, a row each, on their way to be full.

    Each micro-batch is added for all rows; the rows whose batches are full take a step with the mean of the
    gradients, and are closed. What grows is decided from sums alone, so that a row keeps one vector.

    Args:
        growths: the way in which each row's batch grows; they agree in `micro`.
        like: (params,), a tensor of the dtype and device of a row's gradient.
    """

    def __init__(self, growths: Sequence[Growth], like: Tensor) -> None:
        rows = len(growths)
        self.growths = list(growths)
        self.sums = like.new_zeros(rows, len(like))
        self.squares = torch.zeros(rows, dtype=torch.float64, device=like.device)
        self.sizes = [one.first for one in growths]
        self.examples = [0] * rows
        self.parts = [0] * rows
        self.tests: list[float | None] = [None] * rows

    def after(self, count: int, *, last: bool) -> list[int | None]:
        """Return how many examples each row's batch has once `count` more are added; None if it is not full.

        The last batch of a training is full with what it has.
        """
        filled = (seen + count for seen in self.examples)
        return [seen if last or seen >= size else None for seen, size in zip(filled, self.sizes, strict=True)]

    def add(self, gradients: Tensor, count: int) -> None:
        """Add the mean gradients (rows, params) of a micro-batch of `count` examples."""
        self.sums.add_(gradients, alpha=count)
        self.squares.add_(torch.linalg.vector_norm(gradients, dim=1).double().square())
        for row, growth in enumerate(self.growths):
            self.examples[row] += count
            # The last part of a training may be cut short, and is no part like the others.
            self.parts[row] += 1 if count == growth.micro else 0

    def mean(self, row: int) -> Tensor:
        """Return the mean gradient (params,) of that row's batch so far."""
        return self.sums[row] / self.examples[row]

    def close(self, rows: Sequence[int]) -> None:
        """Begin the next batches of those rows, as large as the norm test asks for."""
        lengths = torch.linalg.vector_norm(self.sums, dim=1).double()
        found = torch.stack([lengths, self.squares]).tolist()  # the one time that a step waits for the device
        for row in rows:
            self._decide(row, length=found[0][row] / self.examples[row], squares=found[1][row])
            self.examples[row] = self.parts[row] = 0
        picked = torch.tensor(list(rows), device=self.sums.device)
        self.sums.index_fill_(0, picked, 0)
        self.squares.index_fill_(0, picked, 0)

    def _decide(self, row: int, *, length: float, squares: float) -> None:
        how, size, parts = self.growths[row], self.sizes[row], self.parts[row]
        if parts < 2 or parts * how.micro != self.examples[row]:
            return
        square = length**2
        if not math.isfinite(square + squares):
            return  # the training has diverged, and no size helps it
        asked = norm_test(variance(squares, square, parts, how.micro), square, how.eta)
        self.tests[row] = asked / size
        self.sizes[row] = next_size(size, asked, factor=how.factor, most=how.most, unit=how.micro)

    def state(self) -> dict[str, Any]:
        """Return all that `load` needs; its tensors are those in use."""
        rows = zip(self.sizes, self.examples, self.parts, self.tests, strict=True)
        return {"sums": self.sums, "squares": self.squares, "rows": [list(row) for row in rows]}

    def load(self, state: dict[str, Any], rows: Sequence[int]) -> None:
        """Go on from those rows of a state."""
        picked = torch.tensor(list(rows), device=self.sums.device)
        self.sums.copy_(state["sums"].to(self.sums.device).index_select(0, picked))
        self.squares.copy_(state["squares"].to(self.sums.device).index_select(0, picked))
        for row, saved in enumerate(rows):
            self.sizes[row], self.examples[row], self.parts[row], self.tests[row] = state["rows"][saved]
