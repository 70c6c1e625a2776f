"""Yardsticks: workloads with published figures, or made to a measure, that need no file."""

from __future__ import annotations

from pydantic import Field

from whichopt.service.catalog.dataset_entry import DatasetEntry, DatasetOptions, fixed
from whichopt.service.catalog.label_noise import LabelNoiseOptions
from whichopt.service.catalog.metrics import Metric
from whichopt.service.catalog.model_entry import ModelEntry
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape, Sizes
from whichopt.service.catalog.task_entry import TaskEntry
from whichopt.service.states import Direction

LARGEST_NOISE = 1e6
"""Bound on the standard deviation of a generated target's noise."""


class Friedman2Options(DatasetOptions):
    examples: int = Field(default=1000, ge=100, le=100_000)
    noise: float = Field(default=125.0, ge=0, le=LARGEST_NOISE, allow_inf_nan=False)


class Friedman3Options(DatasetOptions):
    examples: int = Field(default=1000, ge=100, le=100_000)
    noise: float = Field(default=0.1, ge=0, le=LARGEST_NOISE, allow_inf_nan=False)


class NoisyDigitsOptions(DatasetOptions):
    noise: float = Field(
        default=4.0,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="Standard deviation of the noise on each pixel, which is 0 to 16 without it.",
    )


def _friedman(options: DatasetOptions) -> Shape:
    assert isinstance(options, Friedman2Options | Friedman3Options)
    return Shape(options.examples, 4, 1)


MNIST1D = DatasetEntry(
    name="mnist1d",
    title="MNIST-1D, generated",
    task="classification",
    shape=fixed(Shape(5000, 40, 10, image=(1, 1, 40))),
    source="Greydanus and Kobak 2020 (arXiv 2011.14439), generated here with the same numbers: ten curves of "
    "12 points, each padded, stretched, moved, sheared and made noisy",
    options=LabelNoiseOptions,
)

FRIEDMAN2 = DatasetEntry(
    name="friedman2",
    title="Friedman 2, generated",
    task="regression",
    shape=_friedman,
    source="scikit-learn make_friedman2 (Friedman 1991, Multivariate Adaptive Regression Splines), with "
    "noise of a third of the signal",
    options=Friedman2Options,
)

FRIEDMAN3 = DatasetEntry(
    name="friedman3",
    title="Friedman 3, generated",
    task="regression",
    shape=_friedman,
    source="scikit-learn make_friedman3 (Friedman 1991, Multivariate Adaptive Regression Splines), with "
    "noise of a third of the signal",
    options=Friedman3Options,
)

NOISY_DIGITS = DatasetEntry(
    name="noisy_digits",
    title="Digits to be freed of noise",
    task="regression",
    shape=fixed(Shape(1797, 64, 64, image=(1, 8, 8))),
    source="scikit-learn load_digits with Gaussian noise on each pixel, drawn once; the targets are the 64 "
    "pixels without it. A narrow hidden layer makes the mlp a denoising autoencoder",
    options=NoisyDigitsOptions,
    targets_are_images=True,
)

QUADRATIC_DEEP = DatasetEntry(
    name="quadratic_deep",
    title="Noisy quadratic bowl",
    task="minimization",
    shape=fixed(Shape(2896, 100, 1)),
    source="DeepOBS quadratic_deep (Schneider, Balles and Hennig 2019), drawn by the same generator: 1,000 "
    "points for training, 1,000 for validation and the 896 test points of its published losses, which no "
    "seed divides anew; published with batches of 128 and 100 epochs",
    own_sizes=Sizes(1000, 1000, 896),
)

YARDSTICKS = (MNIST1D, FRIEDMAN2, FRIEDMAN3, NOISY_DIGITS, QUADRATIC_DEEP)

LOSS = Metric(
    name="loss",
    title="Loss",
    direction=Direction.MINIMIZE,
    unit="mean over examples",
    constant="the loss of the params with which training starts",
    code="outputs.mean().item()",
    by_example=True,
)

MINIMIZATION = TaskEntry(
    name="minimization",
    title="Minimization",
    metrics=(LOSS,),
    # The outputs are losses, none of them below 0: their distance to 0 is their mean.
    loss="torch.nn.functional.l1_loss",
    targets=lambda examples, outputs: f"torch.zeros({examples}, {outputs})",
    about="The model gives each example's loss itself, and the mean of it is minimized: a function with a "
    "known form in place of a network.",
)


def _params(_: ModelOptions, shape: Shape) -> int:
    return shape.features


QUADRATIC = ModelEntry(
    name="quadratic",
    title="Quadratic bowl around each example",
    params=_params,
    about="0.5 (theta - x)' H (theta - x) of an example x, in which theta is trained and starts at 1 "
    "everywhere. 90% of the eigenvalues of H lie between 0 and 1 and the rest between 30 and 60; its "
    "eigenvectors are turned at random, once for all.",
    tasks=("minimization",),
)
