"""DeepOBS's `quadratic_deep` (Schneider, Balles and Hennig 2019): its bowl, its points, and its task.

Eigenvalues, rotation and points are drawn by numpy's `RandomState` from the seeds that DeepOBS has, in its
order, so that its published losses can be compared with: they are of 896 test points, as DeepOBS leaves out
what fills no batch of 128. The seed of the validation points is our own: DeepOBS had none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from whichopt.service.catalog.dataset_entry import DatasetOptions
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape, Sizes
from whichopt.workers.workload.criteria import Criteria
from whichopt.workers.workload.stream import Examples, Splits

PROBLEM_SEED, TRAIN_SEED, TEST_SEED, VALIDATION_SEED = 42, 42, 43, 44
POINTS, TEST_POINTS, DIMENSION, DEVIATION = 1000, 896, 100, 0.6
STEEP_SHARE = 0.1
"""Share of the directions in which the bowl is steep."""

Matrix = npt.NDArray[np.float64]


class Quadratic(nn.Module):
    """The loss 0.5 (theta - x)' H (theta - x) of each example x (N, dimension): (N, 1)."""

    hessian: Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(dimension))
        self.register_buffer("hessian", torch.from_numpy(hessian(dimension).astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of each example."""
        off = self.theta - x
        return 0.5 * (off @ self.hessian * off).sum(dim=-1, keepdim=True)


@lru_cache(maxsize=4)
def hessian(dimension: int) -> Matrix:
    """Return the symmetric matrix of the bowl (dimension, dimension), the same at every call."""
    random = np.random.RandomState(PROBLEM_SEED)
    steep = round(STEEP_SHARE * dimension)
    eigenvalues = np.concatenate(
        [random.uniform(0.0, 1.0, dimension - steep), random.uniform(30.0, 60.0, steep)]
    )
    turned = rotation(dimension, random)
    made: Matrix = (turned.T * eigenvalues) @ turned
    return made


def rotation(dimension: int, random: np.random.RandomState) -> Matrix:
    """Return a rotation drawn evenly from all of them, by the subgroup algorithm (Diaconis and Shahshahani
    1987, Probability in the Engineering and Informational Sciences 1: 15-32).

    A rotation in a plane grows by a dimension at a time: each is mirrored so that the new axis points in a
    direction drawn from the sphere. The sign is left over by the number of mirrors; a bowl has no use for it.
    """
    angle = 2 * np.pi * random.uniform()
    grown: Matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for size in range(3, dimension + 1):
        direction = random.normal(size=size)
        mirror = -direction / np.linalg.norm(direction)
        mirror[0] += 1.0
        mirror /= np.linalg.norm(mirror)
        wider = np.eye(size)
        wider[1:, 1:] = grown
        grown = wider - 2 * np.outer(mirror, mirror @ wider)
    return grown


class Points:
    """The points of the three splits, which no seed divides anew, as none does in DeepOBS."""

    nbytes = (2 * POINTS + TEST_POINTS) * DIMENSION * 4

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:  # noqa: ARG002
        """Return the points as drawn, whatever the seed."""
        train, validation, test = (_points(of, device) for of in (TRAIN_SEED, VALIDATION_SEED, TEST_SEED))
        return Splits(train, validation, test.first(TEST_POINTS))


def _points(seed: int, device: torch.device) -> Examples:
    drawn = np.random.RandomState(seed).normal(0.0, DEVIATION, (POINTS, DIMENSION)).astype(np.float32)
    return Examples(torch.from_numpy(drawn).to(device), torch.zeros(POINTS, 1, device=device), 1.0)


def points(_: DatasetOptions) -> Points:
    return Points()


def quadratic(_: ModelOptions, shape: Shape) -> Quadratic:
    return Quadratic(shape.features)


def _loss(outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:  # noqa: ARG001
    return outputs.flatten(-2).contiguous().mean(dim=-1)


def _slope(outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    return _loss(outputs, targets, weights), torch.full_like(outputs, 1 / outputs.shape[-2:].numel())


def _metrics(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:
    return {name: _by_example(outputs, targets, unit, name).mean() for name in names}


def _by_example(outputs: Tensor, targets: Tensor, unit: float, name: str) -> Tensor:  # noqa: ARG001
    return outputs.double().flatten()


def _at_the_start(splits: Splits) -> Tensor:
    inputs = splits.test.inputs
    with torch.no_grad():
        losses: Tensor = Quadratic(inputs.shape[-1]).to(inputs.device)(inputs)
    return losses


MINIMIZATION = Criteria(
    loss=_loss,
    slope=_slope,
    metrics=_metrics,
    by_example=_by_example,
    followed=("loss",),
    reference=_at_the_start,
)
