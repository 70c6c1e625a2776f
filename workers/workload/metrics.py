"""The metrics of the tasks as scikit-learn defines them: from outputs and targets, by name, in float64.

None of them waits for the device. A class without an example is left out of every mean over classes. If one
class has all the examples, its ROC AUC is 0.5, as there is nothing to rank it above. Outputs that are not
finite leave no finite `nll` or `rmse`, by which it is seen that a run has diverged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

Metrics = Callable[[Tensor, Tensor, float, Sequence[str]], dict[str, Tensor]]
"""From outputs (N, outputs), targets, what 1 of a target is, and names: those metrics, in that order."""

ByExample = Callable[[Tensor, Tensor, float, str], Tensor]
"""From outputs (N, outputs), targets, what 1 of a target is, and the name of a metric that is a mean over
examples: its value on each (N,), in float64."""

RANKED_AT_ONCE = 2**20
"""Examples times classes that are sorted at once, so that memory stays bounded."""


class Answers:
    """What a model answers of classes: outputs (N, classes), and targets (N,)."""

    def __init__(self, outputs: Tensor, targets: Tensor) -> None:
        self.outputs = outputs
        self.targets = targets

    @cached_property
    def guesses(self) -> Tensor:
        return self.outputs.argmax(dim=-1)

    @cached_property
    def truth(self) -> Tensor:
        """Tell of each example and class if it is the example's (N, classes)."""
        return self.targets.unsqueeze(-1) == self._classes

    @cached_property
    def answered(self) -> Tensor:
        """Tell of each example and class if it is the model's answer (N, classes)."""
        return self.guesses.unsqueeze(-1) == self._classes

    @cached_property
    def examples(self) -> Tensor:
        """The number of examples of each class."""
        return self.truth.sum(dim=0).double()

    @cached_property
    def hits(self) -> Tensor:
        """The number of examples of each class that are answered rightly."""
        return (self.truth & self.answered).sum(dim=0).double()

    @property
    def _classes(self) -> Tensor:
        return torch.arange(self.outputs.shape[-1], device=self.outputs.device)

    def nll(self) -> Tensor:
        return F.cross_entropy(self.outputs.double(), self.targets)

    def nll_by_example(self) -> Tensor:
        return F.cross_entropy(self.outputs.double(), self.targets, reduction="none")

    def accuracy(self) -> Tensor:
        return self.accuracy_by_example().mean()

    def accuracy_by_example(self) -> Tensor:
        return (self.guesses == self.targets).double()

    def balanced_accuracy(self) -> Tensor:
        return _mean_of(self.hits / self.examples, self.examples > 0)

    def macro_f1(self) -> Tensor:
        answered = self.answered.sum(dim=0).double()
        return _mean_of(2 * self.hits / (self.examples + answered), self.examples > 0)

    def roc_auc(self) -> Tensor:
        """The share of pairs of an example of the class and one of the rest that are ranked rightly; a tie
        is half of one."""
        areas, _ = self._ranked
        others = len(self.targets) - self.examples
        both = (self.examples > 0) & (others > 0)
        return torch.where(both.any(), _mean_of(areas, both), 0.5)

    def average_precision(self) -> Tensor:
        _, precisions = self._ranked
        return _mean_of(precisions, self.examples > 0)

    @cached_property
    def _ranked(self) -> tuple[Tensor, Tensor]:
        """ROC AUC and average precision of each class against the rest."""
        areas, precisions = zip(*map(_ranked, *self._blocks()), strict=True)
        return torch.cat(areas), torch.cat(precisions)

    def _blocks(self) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Scores and truth (classes, N) of some classes at once."""
        size = max(1, RANKED_AT_ONCE // max(1, len(self.targets)))
        scores = F.log_softmax(self.outputs.double(), dim=-1).t()
        return torch.split(scores, size), torch.split(self.truth.t(), size)


def _ranked(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """ROC AUC and average precision of each row of scores (classes, N); NaN if one kind is missing.

    Counts are whole numbers, so that no order of summation changes the areas.
    """
    ordered, by = scores.contiguous().sort(dim=1)
    own = truth.gather(1, by).double()
    examples, kind = own.shape[1], own.sum(dim=1)
    lower, upto = _bounds(ordered)
    ranks = (own * (lower + upto + 1)).sum(dim=1) / 2
    areas = (ranks - kind * (kind + 1) / 2) / (kind * (examples - kind))
    own_lower = F.pad(own.cumsum(dim=1), (1, 0)).gather(1, lower)
    precisions = (kind.unsqueeze(1) - own_lower) / (examples - lower)
    return areas, (own * precisions).sum(dim=1) / kind


def _bounds(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """Of each value in an ascending row: how many are lower, and how many no higher.

    `torch.searchsorted` gives the same, in several times as long.
    """
    places = torch.arange(ordered.shape[1], device=ordered.device)
    differs = ordered[:, 1:] != ordered[:, :-1]
    first, last = F.pad(differs, (1, 0), value=1), F.pad(differs, (0, 1), value=1)
    lower = torch.where(first, places, 0).cummax(dim=1).values
    ends = torch.where(last, places + 1, ordered.shape[1])
    return lower, ends.flip(1).cummin(dim=1).values.flip(1)


def _mean_of(values: Tensor, of: Tensor) -> Tensor:
    """The mean of the values `of` which it is; the others may be NaN."""
    return torch.where(of, values, 0.0).sum() / of.sum()


class Numbers:
    """What a model answers of numbers: outputs and targets (N, outputs), of which 1 is `unit`."""

    def __init__(self, outputs: Tensor, targets: Tensor, unit: float) -> None:
        self.targets = targets.double()
        self.off = outputs.double() - self.targets
        self.unit = unit

    @cached_property
    def squares(self) -> Tensor:
        return self.off.square().mean()

    def rmse(self) -> Tensor:
        return self.squares.sqrt() * self.unit

    def mae(self) -> Tensor:
        return self.off.abs().mean() * self.unit

    def mae_by_example(self) -> Tensor:
        return self.off.abs().flatten(1).mean(dim=1) * self.unit

    def r2(self) -> Tensor:
        """As scikit-learn has it: of targets that are all equal 1 if they are met, and 0 if not."""
        variance = self.targets.var(correction=0)
        constant = torch.where(self.squares == 0, 1.0, 0.0).double()
        return torch.where(variance > 0, 1 - self.squares / variance, constant)


def of_classes(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:  # noqa: ARG001
    answers = Answers(outputs, targets)
    return {name: _CLASSES[name](answers) for name in names}


def of_numbers(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:
    numbers = Numbers(outputs, targets, unit)
    return {name: _NUMBERS[name](numbers) for name in names}


def by_example_of_classes(outputs: Tensor, targets: Tensor, unit: float, name: str) -> Tensor:  # noqa: ARG001
    return _CLASSES_BY_EXAMPLE[name](Answers(outputs, targets))


def by_example_of_numbers(outputs: Tensor, targets: Tensor, unit: float, name: str) -> Tensor:
    return _NUMBERS_BY_EXAMPLE[name](Numbers(outputs, targets, unit))


_CLASSES: dict[str, Callable[[Answers], Tensor]] = {
    "nll": Answers.nll,
    "accuracy": Answers.accuracy,
    "balanced_accuracy": Answers.balanced_accuracy,
    "macro_f1": Answers.macro_f1,
    "roc_auc": Answers.roc_auc,
    "average_precision": Answers.average_precision,
}

_NUMBERS: dict[str, Callable[[Numbers], Tensor]] = {
    "rmse": Numbers.rmse,
    "mae": Numbers.mae,
    "r2": Numbers.r2,
}

_CLASSES_BY_EXAMPLE: dict[str, Callable[[Answers], Tensor]] = {
    "nll": Answers.nll_by_example,
    "accuracy": Answers.accuracy_by_example,
}

_NUMBERS_BY_EXAMPLE: dict[str, Callable[[Numbers], Tensor]] = {"mae": Numbers.mae_by_example}
