"""Judges samples of a generator by a fixed yardstick: features, modes, and distances of distributions.

The yardstick of a dataset is made once, in closed form from its examples outside the test split, and is the
same for every trial. Points in the plane are their own features, and a mode is a label's Gaussian. The
features of any other example are the scores of a classifier: ridge regression on random ReLU features. A mode
is then a class. Without labels that are classes, clusters of the examples stand in for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

POINT = 2
"""Numbers of an example that is a point in the plane."""

SEED = 0
"""Seed of all that the yardstick draws."""

HIDDEN, RIDGE = 512, 1e-2
"""Random features of the classifier, and the weight of its penalty for each example."""

FITTED = 0.75
"""Share of the examples that the classifier is fitted on; the others tell how far its classes go, as it has
not seen them."""

MOST_EXAMPLES = 10_000
"""Examples that the yardstick is made of: more of them take memory, and change little."""

CLUSTERS, ROUNDS = 10, 20
"""Clusters of examples that have no classes, and rounds in which they are found."""

REACH = 3.0
"""Standard deviations of a mode within which a point is near it: 98.9% of its own points are."""

CLOSEST = 0.95
"""Share of a class's own examples that are near it."""

FOUND = 0.2
"""Share that a found mode has of the samples, as a share of what it has of the data."""

LINES = 128
"""Lines that samples are projected on."""


@dataclass(frozen=True, eq=False)
class Judge:
    """The yardstick of a dataset, all in float64.

    `features` maps examples (N, features) to (N, F). `centers` (K, F) are those of the modes, `reach` (K,)
    how far from its center a mode goes, `shares` (K,) what each has of the data.
    """

    features: Callable[[Tensor], Tensor]
    centers: Tensor
    reach: Tensor
    shares: Tensor

    def near(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest mode of each sample (N,), and whether it is within that mode's reach (N,)."""
        centers, reach = self.centers.to(samples.device), self.reach.to(samples.device)
        distance, mode = torch.cdist(self.features(samples), centers).min(dim=1)
        return mode, distance <= reach[mode]

    def high_quality(self, samples: Tensor) -> Tensor:
        """Return the share of samples within reach of a mode."""
        _, near = self.near(samples)
        return near.double().mean()

    def modes(self, samples: Tensor) -> Tensor:
        """Return how many modes have their share of the samples within reach."""
        mode, near = self.near(samples)
        shares = self.shares.to(samples.device)
        counts = torch.zeros_like(shares).index_add_(0, mode, near.double())
        return (counts >= FOUND * shares * len(samples)).sum().double()

    def frechet(self, samples: Tensor, real: Tensor) -> Tensor:
        """Return the Fréchet distance between Gaussians of both sets' features, squared."""
        made, wanted = self.features(samples), self.features(real)
        apart = (made.mean(dim=0) - wanted.mean(dim=0)).square().sum()
        return apart + bures(_covariance(made), _covariance(wanted))


def judge(examples: Tensor, labels: Tensor | None) -> Judge:
    """Return the yardstick of these examples (N, features), and their labels (N,) if these are classes."""
    rows = torch.from_numpy(np.random.default_rng(SEED).permutation(len(examples))[:MOST_EXAMPLES])
    examples = examples[rows].double()
    known = clusters(examples) if labels is None else labels[rows]
    if examples.shape[1] == POINT:
        return _of_modes(lambda points: points, examples, known, gaussian=True)
    cut = int(FITTED * len(examples))
    features = _classifier(examples[:cut], known[:cut])
    return _of_modes(features, examples[cut:], known[cut:], gaussian=False)


def _of_modes(
    features: Callable[[Tensor], Tensor], examples: Tensor, labels: Tensor, *, gaussian: bool
) -> Judge:
    places, centers, reach = features(examples), [], []
    present = torch.bincount(labels).nonzero().squeeze(1)
    for label in present:
        own = places[labels == label]
        center = own.mean(dim=0)
        away = (own - center).square().sum(dim=1)
        centers.append(center)
        reach.append(
            REACH * (away.mean() / own.shape[1]).sqrt() if gaussian else away.sqrt().quantile(CLOSEST)
        )
    shares = torch.stack([(labels == label).double().mean() for label in present])
    return Judge(features, torch.stack(centers), torch.stack(reach), shares)


def _classifier(examples: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the scores of a classifier: ridge regression of the classes on random ReLU features."""
    random = np.random.default_rng(SEED)
    mean = examples.mean(dim=0)
    spread = (examples - mean).square().sum(dim=1).mean().sqrt().clamp_min(1e-12)  # of an example: about 1
    into = torch.from_numpy(random.standard_normal((examples.shape[1], HIDDEN)))
    at = torch.from_numpy(random.standard_normal(HIDDEN))

    def hidden(samples: Tensor) -> Tensor:
        place = samples.device
        inside = ((samples - mean.to(place)) / spread.to(place)) @ into.to(place) + at.to(place)
        return torch.cat([inside.clamp_min(0), torch.ones_like(inside[:, :1])], dim=1)

    design = hidden(examples)
    present = torch.bincount(labels).nonzero().squeeze(1)
    wanted = (labels.unsqueeze(1) == present).double()
    gram = design.t() @ design + RIDGE * len(examples) * torch.eye(HIDDEN + 1, dtype=torch.float64)
    weights = torch.cholesky_solve(design.t() @ wanted, torch.linalg.cholesky(gram))
    return lambda samples: hidden(samples) @ weights.to(samples.device)


def clusters(examples: Tensor) -> Tensor:
    """Return the cluster of each example (N,), by k-means from a fixed seed."""
    count = min(CLUSTERS, len(examples))
    first = np.random.default_rng(SEED).choice(len(examples), count, replace=False)
    centers = examples[torch.from_numpy(first)]
    nearest = torch.cdist(examples, centers).argmin(dim=1)
    for _ in range(ROUNDS):
        sums = torch.zeros_like(centers).index_add_(0, nearest, examples)
        counts = torch.bincount(nearest, minlength=count).unsqueeze(1)
        centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
        nearest = torch.cdist(examples, centers).argmin(dim=1)
    return nearest


# -- distances -------------------------------------------------------------------------------------------


def sliced_wasserstein(samples: Tensor, real: Tensor) -> Tensor:
    """Return how far a sample must be moved along a line on average, so that they lie as the real ones do.

    Both are (N, features). It is the Wasserstein distance of order 1 of the projections on fixed lines, and
    the mean over these.
    """
    lines = _lines(real.shape[1]).to(real.device)
    made, wanted = (_ordered((examples @ lines).t()) for examples in (samples, real))
    return (made - wanted).abs().mean()


def _ordered(rows: Tensor) -> Tensor:
    """Sort each row; on a CPU by numpy, which took a tenth of torch's time for rows of 4,000."""
    if rows.device.type == "cpu":
        return torch.from_numpy(np.sort(rows.numpy(), axis=1))
    return rows.sort(dim=1).values


@lru_cache(maxsize=8)
def _lines(features: int) -> Tensor:
    """Directions (features, LINES) of length 1."""
    directions = np.random.default_rng(SEED).standard_normal((features, LINES))
    return torch.from_numpy(directions / np.linalg.norm(directions, axis=0))


def bures(one: Tensor, other: Tensor) -> Tensor:
    """Return tr(A + B - 2 (A^1/2 B A^1/2)^1/2) of two covariances."""
    values, vectors = torch.linalg.eigh(one)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.t()
    shared = torch.linalg.eigvalsh(root @ other @ root).clamp_min(0).sqrt().sum()
    distance: Tensor = one.trace() + other.trace() - 2 * shared
    return distance.clamp_min(0)


def _covariance(features: Tensor) -> Tensor:
    off = features - features.mean(dim=0)
    return off.t() @ off / len(features)
