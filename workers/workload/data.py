"""The datasets: one loader for each entry of the catalog, the splits, and the order of the examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whichopt.service.catalog.datasets import DatasetOptions, Friedman1Options
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import RANDOM, divided
from whichopt.workers.workload.tasks import Criteria, Labels

Features = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Parts = tuple[Rows, Rows, Rows]

FARTHEST = 10.0
"""Bound on a standardized feature: a pixel that hardly any training example has inked may lie hundreds of
its standard deviations away elsewhere."""

FRIEDMAN_SEED = 0


class Table(NamedTuple):
    """A dataset as loaded: `features` (N, features) and `labels` (N,), each in its own units."""

    features: Features
    labels: Labels

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + self.labels.nbytes

    def parts(self, criteria: Criteria, sizes: Sizes, seed: int) -> Parts:
        """Return the rows of training, validation and test that `seed` draws."""
        return divided(RANDOM, criteria.strata(self.labels), len(self.labels), sizes, seed)

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:
        """Return the splits that `seed` draws, scaled by statistics of their training split alone."""
        rows = self.parts(criteria, sizes, seed)
        training = rows[0]
        inputs = torch.from_numpy(standardized(self.features, self.features[training]).astype(np.float32))
        targets, unit = criteria.encode(self.labels, self.labels[training])
        return Splits(*(Examples(inputs[part].to(device), targets[part].to(device), unit) for part in rows))


@dataclass(frozen=True)
class Examples:
    """A split as the model sees it: `inputs` (N, features) standardized, `targets` (N,) or (N, outputs).

    1 of a target is `unit` in the targets' own units. `weights` (N,) are those of the examples in the loss;
    None if all count the same.
    """

    inputs: Tensor
    targets: Tensor
    unit: float
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)


class Batch(NamedTuple):
    """Examples of one step: `inputs` (N, features), `targets` (N,) or (N, outputs), `weights` (N,) if any.

    In a stack they have another dimension before these: one entry a network.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None


@dataclass(frozen=True)
class Splits:
    train: Examples
    validation: Examples
    test: Examples

    @property
    def nbytes(self) -> int:
        parts = (self.train, self.validation, self.test)
        return sum(part.inputs.nbytes + part.targets.nbytes for part in parts)

    def named(self, name: str) -> Examples:
        """The split `train`, `validation` or `test`."""
        examples: Examples = getattr(self, name)
        return examples


def _scikit(name: str) -> Callable[[DatasetOptions], Table]:
    """A loader that scikit-learn ships, which is imported on first use: that takes over a second."""

    def load(_: DatasetOptions) -> Table:
        from sklearn import datasets

        return Table(*getattr(datasets, name)(return_X_y=True))

    return load


def _scikit_file(name: str, file: str, *, header: int) -> Callable[[DatasetOptions], Table]:
    """A loader of a table that scikit-learn ships as a file, bit for bit as its loader `name` reads it.

    The file is read without importing scikit-learn, as a first job would wait for that. `header` is the
    number of lines before the table, whose last column are the labels.
    """

    def load(options: DatasetOptions) -> Table:
        package = find_spec("sklearn")
        places = [] if package is None else package.submodule_search_locations or []
        path = next((at for place in places if (at := Path(place, "datasets", "data", file)).exists()), None)
        if path is None:  # another version may keep it elsewhere
            return _scikit(name)(options)
        rows = np.loadtxt(path, delimiter=",", skiprows=header)
        features = np.ascontiguousarray(rows[:, :-1]) if header else rows[:, :-1]
        return Table(features, rows[:, -1].astype(np.int64))

    return load


def _friedman1(options: DatasetOptions) -> Table:
    from sklearn.datasets import make_friedman1

    assert isinstance(options, Friedman1Options)
    return Table(
        *make_friedman1(options.examples, options.features, noise=options.noise, random_state=FRIEDMAN_SEED)
    )


LOADERS: Mapping[str, Callable[[DatasetOptions], Table]] = {
    "digits": _scikit_file("load_digits", "digits.csv.gz", header=0),
    "breast_cancer": _scikit_file("load_breast_cancer", "breast_cancer.csv", header=1),
    "wine": _scikit_file("load_wine", "wine_data.csv", header=1),
    "diabetes": _scikit("load_diabetes"),
    "friedman1": _friedman1,
}


def standardized(features: Features, training: Features) -> Features:
    """`features` less the mean of `training`, over its standard deviation, within ± FARTHEST.

    A column that is constant in training becomes 0 throughout.
    """
    mean, deviation = scale(training)
    scaled = (features - mean) / np.where(deviation == 0, np.inf, deviation)
    bounded: Features = np.clip(scaled, -FARTHEST, FARTHEST)
    return bounded


def scale(training: Features) -> tuple[Features, Features]:
    """Return mean and standard deviation of each column; 0 of one that is constant up to rounding."""
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    constant = deviation <= 1e-10 * np.abs(mean)  # what rounding the mean leaves of a constant column
    return mean, np.where(constant, 0.0, deviation)


def order(seed: int, examples: int, start: int, stop: int) -> Tensor:
    """Rows (stop - start,) of the training split: from `start` to `stop` of the stream that `seed` draws.

    The stream has no end: it is one permutation of all `examples` after another, each a pure function of
    `seed` and its epoch, so that no state but the position is needed to go on.
    """
    first, last = start // examples, (stop - 1) // examples
    epochs = [np.random.default_rng([seed, epoch]).permutation(examples) for epoch in range(first, last + 1)]
    offset = first * examples
    return torch.from_numpy(np.concatenate(epochs)[start - offset : stop - offset])


def batches(data: Examples, seed: int, start: int, cuts: Iterable[int]) -> Iterator[Batch]:
    """The stream from `start` on, cut into batches of these sizes."""
    for sizes in stretches(cuts, len(data)):  # about an epoch each, so that memory stays bounded
        stop = start + sum(sizes)
        rows = order(seed, len(data), start, stop).to(data.inputs.device)
        for part in torch.split(rows, sizes):
            weights = None if data.weights is None else data.weights.index_select(0, part)
            yield Batch(data.inputs.index_select(0, part), data.targets.index_select(0, part), weights)
        start = stop


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
