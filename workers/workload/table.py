"""A dataset as loaded, and the splits that a seed draws of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import RANDOM, divided
from whichopt.workers.workload.criteria import Criteria, Labels
from whichopt.workers.workload.label_noise import mislabeled
from whichopt.workers.workload.stream import Examples, Splits

Features = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Parts = tuple[Rows, Rows, Rows]

FARTHEST = 10.0
"""Bound on a standardized feature: a pixel that hardly any training example has inked may lie hundreds of
its standard deviations away elsewhere."""


class Loaded(Protocol):
    """The data of a workload as loaded, in their own units."""

    @property
    def nbytes(self) -> int:
        """The bytes of memory that they take."""
        ...

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:
        """Return the splits that `seed` draws; a pure function."""
        ...


class Table(NamedTuple):
    """A dataset as loaded: `features` (N, features), `labels` (N,) or (N, outputs), each in its own units.

    `label_noise` is the share of the training labels that are replaced by another class.
    """

    features: Features
    labels: Labels
    label_noise: float = 0.0

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + self.labels.nbytes

    def parts(self, criteria: Criteria, sizes: Sizes, seed: int) -> Parts:
        """Return the rows of training, validation and test that `seed` draws."""
        return divided(RANDOM, criteria.strata(self.labels), len(self.labels), sizes, seed)

    def taught(self, training: Rows) -> Labels:
        """Return the labels, of which those of these rows are as a network is taught them."""
        return mislabeled(self.labels, training, self.label_noise) if self.label_noise else self.labels

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:
        """Return the splits that `seed` draws, scaled by statistics of their training split alone."""
        rows = self.parts(criteria, sizes, seed)
        training = rows[0]
        scaled = criteria.scaled or standardized
        inputs = torch.from_numpy(scaled(self.features, self.features[training]).astype(np.float32))
        taught = self.taught(training)
        targets, unit = criteria.targets(taught, taught[training], inputs)
        return Splits(*(Examples(inputs[part].to(device), targets[part].to(device), unit) for part in rows))


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
