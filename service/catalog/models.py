"""The models: their options, and how many params they have, in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from whichopt.service.catalog import find
from whichopt.service.catalog.shapes import Shape
from whichopt.service.numeric import WHOLE, NumbersAreNumbers

Width = Annotated[int, Field(ge=1, le=8192), WHOLE]
Activation = Literal["relu", "gelu", "tanh"]


class ModelOptions(NumbersAreNumbers):
    """The options of a model; none, unless its entry has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MLPOptions(ModelOptions):
    hidden: tuple[Width, ...] = Field(default=(128, 64), min_length=1, max_length=16)
    activation: Activation = "relu"


class CNNOptions(ModelOptions):
    channels: tuple[Annotated[int, Field(ge=1, le=1024), WHOLE], ...] = Field(
        default=(16, 32), min_length=1, max_length=8
    )
    activation: Activation = "relu"


@dataclass(frozen=True)
class ModelEntry:
    """A model as jobs name it; `params` counts those of the model that `options` describe, by data's shape.

    `builder` is what workers build it by (`whichopt.workers.workload.models.BUILDERS`), if that has another
    name.

    `stackable` is False for a model that only the solo executor can train, as `torch.func.vmap` cannot run it
    over many trials at once: it draws random numbers, or branches on a tensor's value.
    """

    name: str
    title: str
    params: Callable[[ModelOptions, Shape], int]
    about: str
    options: type[ModelOptions] = ModelOptions
    needs_image: bool = False
    builder: str | None = None
    stackable: bool = True


def _linear(_: ModelOptions, shape: Shape) -> int:
    return (shape.features + 1) * shape.outputs


def _mlp(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, MLPOptions)
    widths = (shape.features, *options.hidden, shape.outputs)
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def _cnn(options: ModelOptions, shape: Shape) -> int:
    """3x3 convolutions with bias, then a linear layer over the mean of each channel."""
    assert isinstance(options, CNNOptions)
    assert shape.image is not None
    channels = (shape.image[0], *options.channels)
    convolutions = sum((9 * inputs + 1) * outputs for inputs, outputs in pairwise(channels))
    return convolutions + (channels[-1] + 1) * shape.outputs


MODELS = (
    ModelEntry(
        name="linear",
        title="Linear",
        params=_linear,
        about="One linear layer: logistic or linear regression.",
    ),
    ModelEntry(
        name="mlp",
        title="Multilayer perceptron",
        params=_mlp,
        about="Linear layers with an activation between them.",
        options=MLPOptions,
    ),
    ModelEntry(
        name="cnn",
        title="Small convolutional network",
        params=_cnn,
        about="3x3 convolutions with an activation each, halving the image by max pooling after each "
        "while it is at least 4 wide and high; then the mean of each channel and a linear layer.",
        options=CNNOptions,
        needs_image=True,
    ),
)


def model(name: str, *, field: str | None = None) -> ModelEntry:
    return find("model", name, MODELS, field=field)
