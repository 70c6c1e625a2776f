"""The stream of a trial's examples: their order, its batches, and what each of these draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from whichopt.workers.workload.seeds import DRAWS, generator


@dataclass(frozen=True)
class Examples:
    """A split as the model sees it: `inputs` (N, ...) as it takes them, `targets` (N, ...).

    1 of a target is `unit` in the targets' own units. `weights` (N,) are those of the examples in the loss;
    None if all count the same. `noise` (N, ...) is what an evaluation draws for each example, fixed once;
    None if it draws nothing. `in_lanes` says that examples follow one another, as the windows of a text do:
    the batches then run along them side by side, so that a state can be carried on. `written` turns tokens
    into the text that they stand for; None if the examples are no text.
    """

    inputs: Tensor
    targets: Tensor
    unit: float
    weights: Tensor | None = None
    noise: Tensor | None = None
    in_lanes: bool = False
    written: Callable[[Tensor], str] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def nbytes(self) -> int:
        tensors = (self.inputs, self.targets, self.weights, self.noise)
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)

    @property
    def whole(self) -> Batch:
        """All of them as one batch, with the noise of an evaluation."""
        return Batch(self.inputs, self.targets, None, self.noise)

    def first(self, count: int) -> Examples:
        """Return the first `count` examples."""
        weights, noise = (None if part is None else part[:count] for part in (self.weights, self.noise))
        inputs, targets = self.inputs[:count], self.targets[:count]
        return Examples(inputs, targets, self.unit, weights, noise, self.in_lanes, self.written)


@dataclass(frozen=True)
class Splits:
    train: Examples
    validation: Examples
    test: Examples

    @property
    def nbytes(self) -> int:
        return self.train.nbytes + self.validation.nbytes + self.test.nbytes

    def first(self, count: int) -> Splits:
        """Return the first `count` examples of each split."""
        return Splits(*(split.first(count) for split in (self.train, self.validation, self.test)))

    def named(self, name: str) -> Examples:
        """The split `train`, `validation` or `test`."""
        examples: Examples = getattr(self, name)
        return examples


class Batch(NamedTuple):
    """Examples of one step: `inputs` (N, ...), `targets` (N, ...); `weights` (N,), `noise` (N, ...) if any.

    In a stack they have another dimension before these: one entry a network.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None
    noise: Tensor | None = None

    def expanded(self, rows: int) -> Batch:
        """Return the batch of that many networks which all see this one."""
        return Batch._make(None if part is None else part.expand(rows, *part.shape) for part in self)


Draw = Callable[[Batch, torch.Generator], Batch]
"""Draws what a batch needs anew each time (noise, a crop of each image) from the generator alone."""


def side_by_side(batches: Sequence[Batch]) -> Batch:
    """Return batches that agree in their sizes as the one of as many networks."""
    return Batch._make(None if parts[0] is None else beside(parts) for parts in zip(*batches, strict=True))


def beside(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors as one (n, ...); without a copy if all are the same."""
    first = tensors[0]
    if all(tensor is first for tensor in tensors):
        return first.expand(len(tensors), *first.shape)
    return torch.stack(list(tensors))


def order(seed: int, examples: int, start: int, stop: int) -> Tensor:
    """Rows (stop - start,) of the training split: from `start` to `stop` of the stream that `seed` draws.

    The stream has no end: it is one permutation of all `examples` after another, each a pure function of
    `seed` and its epoch, so that no state but the position is needed to go on.
    """
    first, last = start // examples, (stop - 1) // examples
    epochs = [np.random.default_rng([seed, epoch]).permutation(examples) for epoch in range(first, last + 1)]
    offset = first * examples
    return torch.from_numpy(np.concatenate(epochs)[start - offset : stop - offset])


def order_in_lanes(seed: int, examples: int, lanes: int, start: int, stop: int) -> Tensor:
    """Rows (stop - start,) from `start` to `stop` of the stream that runs along the examples in lanes.

    The lanes begin at equal distances from each other, from a place that `seed` draws, and each step takes
    the next example of every lane; at the last example a lane goes on with the first. So a step's example in
    a lane follows that of the step before, and an epoch shows every example about once.
    """
    step, lane = np.divmod(np.arange(start, stop), lanes)
    begin = np.random.default_rng(seed).integers(examples)
    return torch.from_numpy((begin + lane * examples // lanes + step) % examples)


def batches(
    data: Examples,
    seed: int,
    start: int,
    cuts: Iterable[int],
    *,
    lanes: int | None = None,
    draw: Draw | None = None,
) -> Iterator[Batch]:
    """The stream from `start` on, cut into batches of these sizes.

    Args:
        data: the training split.
        seed: the seed of the order, and of what is drawn.
        start: the examples of the stream that are over, where a step begins.
        cuts: the sizes of the batches.
        lanes: the number of lanes, if examples follow one another: the batch size. `start` is then a multiple
            of it.
        draw: what each batch draws, from its own place in the stream.
    """
    for sizes in stretches(cuts, len(data)):  # about an epoch each, so that memory stays bounded
        stop = start + sum(sizes)
        rows = (
            order_in_lanes(seed, len(data), lanes or max(sizes), start, stop)
            if data.in_lanes
            else order(seed, len(data), start, stop)
        ).to(data.inputs.device)
        for part in torch.split(rows, sizes):
            weights = None if data.weights is None else data.weights.index_select(0, part)
            batch = Batch(data.inputs.index_select(0, part), data.targets.index_select(0, part), weights)
            yield batch if draw is None else draw(batch, generator(seed, start, part.device, DRAWS))
            start += len(part)


def stretches(cuts: Iterable[int], least: int) -> Iterator[list[int]]:
    """Group sizes of batches into stretches of at least so many examples; the last one may have fewer."""
    sizes, examples = list[int](), 0
    for size in cuts:
        sizes.append(size)
        examples += size
        if examples >= least:
            yield sizes
            sizes, examples = [], 0
    if sizes:
        yield sizes
