"""The models: their options, the modules that they are chains of, and their params in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from whichopt.service.catalog import find, generation
from whichopt.service.catalog.image_networks import IMAGE_NETWORKS
from whichopt.service.catalog.language import LSTM, TRANSFORMER
from whichopt.service.catalog.model_entry import SUPERVISED, ModelEntry
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.modules import Module, module
from whichopt.service.catalog.networks import LayersOptions, network
from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.yardsticks import QUADRATIC
from whichopt.service.numeric import WHOLE
from whichopt.service.texts import LANGUAGE

__all__ = ["MODELS", "CNNOptions", "LayersOptions", "MLPOptions", "ModelEntry", "ModelOptions", "model"]

Width = Annotated[int, Field(ge=1, le=8192), WHOLE]
Activation = Literal["relu", "gelu", "tanh"]
ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "tanh": "Tanh"}
"""The module of torch of each activation."""


class MLPOptions(ModelOptions):
    hidden: tuple[Width, ...] = Field(default=(128, 64), min_length=1, max_length=16)
    activation: Activation = "relu"


class CNNOptions(ModelOptions):
    channels: tuple[Annotated[int, Field(ge=1, le=1024), WHOLE], ...] = Field(
        default=(16, 32), min_length=1, max_length=8
    )
    activation: Activation = "relu"


def _linear(_: ModelOptions, shape: Shape) -> int:
    return (shape.features + 1) * shape.outputs


def _linear_modules(_: ModelOptions, shape: Shape) -> Sequence[Module]:
    return (module("Linear", shape.features, shape.outputs),)


def _mlp(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, MLPOptions)
    widths = (shape.features, *options.hidden, shape.outputs)
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def _mlp_modules(options: ModelOptions, shape: Shape) -> Sequence[Module]:
    assert isinstance(options, MLPOptions)
    activation = module(ACTIVATIONS[options.activation])
    chain = []
    for inputs, outputs in pairwise((shape.features, *options.hidden)):
        chain += [module("Linear", inputs, outputs), activation]
    return (*chain, module("Linear", options.hidden[-1], shape.outputs))


def _cnn(options: ModelOptions, shape: Shape) -> int:
    """3x3 convolutions with bias, then a linear layer over the mean of each channel."""
    assert isinstance(options, CNNOptions)
    assert shape.image is not None
    channels = (shape.image[0], *options.channels)
    convolutions = sum((9 * inputs + 1) * outputs for inputs, outputs in pairwise(channels))
    return convolutions + (channels[-1] + 1) * shape.outputs


def _cnn_modules(options: ModelOptions, shape: Shape) -> Sequence[Module]:
    assert isinstance(options, CNNOptions)
    assert shape.image is not None
    activation = module(ACTIVATIONS[options.activation])
    channels, height, width = shape.image
    chain = [module("Unflatten", 1, shape.image)]
    for inputs, outputs in pairwise((channels, *options.channels)):
        chain += [module("Conv2d", inputs, outputs, 3, padding=1), activation]
        by = tuple(2 if side >= 4 else 1 for side in (height, width))
        if max(by) > 1:
            chain.append(module("MaxPool2d", 2 if min(by) > 1 else by))
            height, width = height // by[0], width // by[1]
    head = module("Linear", options.channels[-1], shape.outputs)
    return (*chain, module("AdaptiveAvgPool2d", 1), module("Flatten"), head)


MODELS = (
    ModelEntry(
        name="linear",
        title="Linear",
        params=_linear,
        about="One linear layer: logistic or linear regression.",
        modules=_linear_modules,
    ),
    ModelEntry(
        name="mlp",
        title="Multilayer perceptron",
        params=_mlp,
        about="Linear layers with an activation between them.",
        options=MLPOptions,
        modules=_mlp_modules,
    ),
    ModelEntry(
        name="cnn",
        title="Small convolutional network",
        params=_cnn,
        about="3x3 convolutions with an activation each, halving each side of the image by max pooling after "
        "each while it is at least 4 long; then the mean of each channel and a linear layer.",
        options=CNNOptions,
        needs_image=True,
        modules=_cnn_modules,
    ),
    ModelEntry(
        name="layers",
        title="Your own layers",
        params=lambda options, shape: network(options, shape).params,
        about="A network that the job describes layer by layer: linear, conv2d, batch_norm, layer_norm, "
        "group_norm, relu, gelu, silu, tanh, dropout, max_pool2d, avg_pool2d, mean_pool, flatten, unflatten, "
        "residual and, for a text, embedding. At most 64 layers in all, nested 4 deep.",
        options=LayersOptions,
        modules=lambda options, shape: network(options, shape).modules,
        kept=lambda options, shape: network(options, shape).kept,
        least=lambda options, shape: network(options, shape).least,
        tasks=(*SUPERVISED, LANGUAGE),
    ),
    LSTM,
    TRANSFORMER,
    QUADRATIC,
    *IMAGE_NETWORKS,
    *generation.MODELS,
)


def model(name: str, *, field: str | None = None) -> ModelEntry:
    return find("model", name, MODELS, field=field)
