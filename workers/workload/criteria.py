"""A learning task as functions: what trains a network, what is judged of it, and by which metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.trials import Sample
from whichopt.workers.workload.metrics import ByExample, Metrics
from whichopt.workers.workload.players import Answer, Carry, Net, Player, Slope
from whichopt.workers.workload.stream import Batch, Draw, Examples, Splits

Labels = npt.NDArray[Any]
Features = npt.NDArray[np.float64]

Splitting = Callable[["Criteria"], Splits]
"""Gives one division of a dataset, scaled and encoded as the criteria say."""


class BatchLoss(Protocol):
    def __call__(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None, /) -> Tensor: ...


def _lacking(*_: Any) -> NoReturn:
    raise NotImplementedError("the task has no such part: it learns no targets from inputs")


@dataclass(frozen=True)
class Criteria:
    """A task as functions of outputs (N, outputs) and of targets as the model is given them.

    `metrics` are those of the catalog's entry, by name, each a float64 tensor without dimensions; its `unit`
    is what 1 of a target is in the targets' own units. `by_example` has those that are means over examples,
    example by example. `followed` are the metrics whose curves are kept in any case; one of them shows that
    outputs are not finite.

    A task that learns targets from inputs says the rest by these: `loss` is the mean over the batch: of
    outputs (..., N, outputs), a loss (...) each, weighted if the third argument has weights (..., N) and not
    None; `slope` gives the losses and their gradients, each in its outputs, to the bit as autograd would.
    `constant` is the row of outputs (outputs,) that suits all the given targets best. `encode` turns the
    labels of all examples, and those of the training split alone, into targets and their unit. `strata` are
    what a division keeps the shares of; None if there is nothing to keep. `balanced` are the weights (N,) by
    which each class of the training targets weighs the same; None if there are no classes.

    Any other task replaces them: `players` makes the players from the names of the model's params, in place
    of one whose loss is `loss`. `answer` is what is judged of a network, in place of its outputs for the
    inputs. `reference` is what `answer` would be on the test split of a network that has learned nothing, in
    place of the constant row. `prepared` makes the splits what the task needs, with the noise of evaluations.
    `draw` is what each batch of training draws. `sample` is what a trained network in eval mode makes for
    people to look at, which may start from the test split; None if these data cannot be shown. `made_for`
    gives the criteria of one workload, if they depend on the options of its model. `fitted_on` gives those of
    one dataset, if what judges is made of its examples. `scaled` scales features by those of training, in
    place of standardization.
    """

    metrics: Metrics
    followed: tuple[str, ...]
    by_example: ByExample = _lacking
    loss: BatchLoss = _lacking
    slope: Slope = _lacking
    constant: Callable[[Tensor, int], Tensor] = _lacking
    encode: Callable[[Labels, Labels], tuple[Tensor, float]] = _lacking
    strata: Callable[[Labels], Labels | None] = lambda _: None
    balanced: Callable[[Tensor], Tensor] | None = None
    players: Callable[[Sequence[str]], tuple[Player, ...]] | None = None
    answer: Answer | None = None
    reference: Callable[[Splits], Tensor] | None = None
    prepared: Callable[[Splits], Splits] | None = None
    draw: Draw | None = None
    sample: Callable[[Net, Examples], Sample | None] | None = None
    made_for: Callable[[Criteria, ModelOptions], Criteria] | None = None
    fitted_on: Callable[[Criteria, Shape, Splitting], Criteria] | None = None
    scaled: Callable[[Features, Features], Features] | None = None

    def players_of(self, model: str, params: Sequence[str]) -> tuple[Player, ...]:
        """Return the players of a model of that name, from the names of its params."""
        if self.players is not None:
            return self.players(params)

        def loss(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
            return self.loss(net(batch.inputs), batch.targets, batch.weights), carry

        return (Player(model, tuple(params), loss, slope=self.slope),)

    def targets(self, labels: Labels, training: Labels, inputs: Tensor) -> tuple[Tensor, float]:
        """Return the targets of examples and their unit.

        Args:
            labels: the labels of the examples.
            training: those of the training split.
            inputs: the inputs of the examples, which are the targets of a task that has no labels.
        """
        return (inputs, 1.0) if self.encode is _lacking else self.encode(labels, training)

    def of(self, options: ModelOptions) -> Criteria:
        """Return the criteria for a model with those options."""
        return self if self.made_for is None else self.made_for(self, options)

    def on(self, shape: Shape, splitting: Splitting) -> Criteria:
        """Return the criteria for data of that shape, which `splitting` divides by the seed 0."""
        return self if self.fitted_on is None else self.fitted_on(self, shape, splitting)

    def learned_nothing(self, splits: Splits, outputs: int) -> Tensor:
        """Return what is judged of the constant predictor that suits the training split best, on the test
        split."""
        if self.reference is not None:
            return self.reference(splits)
        return self.constant(splits.train.targets, outputs).expand(len(splits.test), outputs)
