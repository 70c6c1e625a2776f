"""Feeds the networks of a stack: batches of every trial's own stream, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from whichopt.service.trials import TrialPlan
from whichopt.workers.workload import (
    Batch,
    Draw,
    Examples,
    Splits,
    batches,
    order,
    side_by_side,
    stretches,
)

GATHERED_BYTES = 2**22
"""About how much is gathered at once: enough that gathering costs little, and little enough for a cache."""


class Feed:
    """The streams of the rows of a stack, which agree in batch size and number of examples.

    Rows whose seeds agree share a stream; if all do, their batch is one, expanded over the rows.
    """

    def __init__(
        self, plans: Sequence[TrialPlan], splits: Sequence[Splits], draw: Draw | None = None
    ) -> None:
        self.training = plans[0].training
        self.rows = len(plans)
        self.seeds = [(plan.seeds.order, plan.seeds.split) for plan in plans]
        self.splits = dict(zip(self.seeds, splits, strict=True))
        self.draw = draw

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The streams from `start` to `stop`: inputs (rows, N, ...) and targets (rows, N, ...)."""
        if len(self.splits) == 1:
            (seed,) = self.splits
            yield from (batch.expanded(self.rows) for batch in self._stream(seed, start, stop))
        elif self.draw is None and not self.splits[self.seeds[0]].train.in_lanes:
            yield from self._together(start, stop)
        else:
            streams = {seed: self._stream(seed, start, stop) for seed in self.splits}
            for parts in zip(*streams.values(), strict=True):
                of = dict(zip(streams, parts, strict=True))
                yield side_by_side([of[seed] for seed in self.seeds])

    def _stream(self, seed: tuple[int, int], start: int, stop: int) -> Iterator[Batch]:
        """The stream of the rows with those seeds, as a trial alone has it."""
        return batches(
            self.splits[seed].train,
            seed[0],
            start,
            self.training.cuts(start, stop),
            lanes=self.training.batch_size,
            draw=self.draw,
        )

    def _together(self, start: int, stop: int) -> Iterator[Batch]:
        """The same, gathered for many steps at once, which takes less time."""
        for sizes in stretches(self.training.cuts(start, stop), self._examples_at_once()):
            end = start + sum(sizes)
            parts = (torch.split(tensor, sizes, dim=1) for tensor in self._gathered(start, end))
            yield from map(Batch, *parts)
            start = end

    def whole(self, split: str) -> list[Examples]:
        """The split of each row."""
        return [self.splits[seed].named(split) for seed in self.seeds]

    def _gathered(self, start: int, stop: int) -> list[Tensor]:
        """The inputs and the targets of each row (rows, N, ...), and the weights if there are any."""
        parts = {
            seed: order(seed[0], len(splits.train), start, stop).to(splits.train.inputs.device)
            for seed, splits in self.splits.items()
        }
        trains = [self.splits[seed].train for seed in self.seeds]
        rows = [parts[seed] for seed in self.seeds]
        tables = [[train.inputs for train in trains], [train.targets for train in trains]]
        if weights := [train.weights for train in trains if train.weights is not None]:
            tables.append(weights)
        return [_rows(table, rows) for table in tables]

    def _examples_at_once(self) -> int:
        train = self.splits[self.seeds[0]].train
        one = sum(part[0].numel() * part.element_size() for part in (train.inputs, train.targets))
        return max(1, GATHERED_BYTES // (one * self.rows))


def _rows(tables: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
    """(rows, N, ...): of each table the rows that are wanted."""
    batch = tables[0].new_empty(len(tables), len(rows[0]), *tables[0].shape[1:])
    for part, table, wanted in zip(batch, tables, rows, strict=True):
        torch.index_select(table, 0, wanted, out=part)
    return batch
