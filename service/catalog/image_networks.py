"""Networks for images, by the names of their papers, in the form that is used for images of 32 by 32.

VGG (Simonyan and Zisserman 2015, arXiv 1409.1556), ResNet (He et al. 2016, arXiv 1512.03385) and DenseNet-BC
(Huang et al. 2017, arXiv 1608.06993), each with batch normalization (Ioffe and Szegedy 2015, arXiv
1502.03167). Images of 32 by 32 leave no room for what the papers' networks for ImageNet begin with, a stride
of 2 and a pooling, nor for VGG's two linear layers of 4096: one linear layer takes the mean of each channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from whichopt.service.catalog.blocks import Added, Joined, Part, chained
from whichopt.service.catalog.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    Linear,
    MeanPool,
    Passed,
    Pool2d,
    Size,
    Unflatten,
)
from whichopt.service.catalog.model_entry import ModelEntry
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.numeric import REAL

RELU = Activation(type="relu")
HEAD = (MeanPool(), Linear(out="outputs"))

Network = Callable[[float, Size], Sequence[Part]]
"""The parts of a network, by its width, for images of (channels, height, width)."""


class ImageNetworkOptions(ModelOptions):
    width: Annotated[float, Field(ge=0.0625, le=4), REAL] = Field(
        default=1.0, description="Factor of the number of channels of every layer; 1 is the paper's."
    )


def _channels(paper: int, width: float) -> int:
    return max(1, round(paper * width))


def _conv(out: int, kernel: int = 3, stride: int = 1, *, bias: bool = False) -> Conv2d:
    return Conv2d(out=out, kernel=kernel, stride=stride, padding=kernel // 2, bias=bias)


def _vgg(stages: Sequence[Sequence[int]]) -> Network:
    """Stages of convolutions of so many channels, with bias as in the paper."""

    def parts(width: float, image: Size) -> Sequence[Part]:
        made: list[Part] = []
        edge = min(image[1:])
        for stage in stages:
            for paper in stage:
                made += [_conv(_channels(paper, width), bias=True), BatchNorm(), RELU]
            if edge >= 2:
                made.append(Pool2d(type="max_pool2d"))
                edge //= 2
        return made

    return parts


def _resnet(blocks: Sequence[int]) -> Network:
    """Stages of so many blocks of two convolutions; each stage but the first halves the image.

    Where a block changes the size, the shortcut is a convolution of 1 by 1 (the paper's option B).
    """

    def parts(width: float, image: Size) -> Iterator[Part]:  # noqa: ARG001
        before = _channels(64, width)
        yield from (_conv(before), BatchNorm(), RELU)
        for stage, count in enumerate(blocks):
            out = _channels(64 << stage, width)
            for number in range(count):
                stride = 2 if stage and not number else 1
                inside = (_conv(out, stride=stride), BatchNorm(), RELU, _conv(out), BatchNorm())
                changes = stride != 1 or before != out
                shortcut = (_conv(out, 1, stride), BatchNorm()) if changes else ()
                yield from (Added(inside, shortcut), RELU)
                before = out

    return lambda width, image: tuple(parts(width, image))


def _densenet(blocks: Sequence[int], growth: int = 32) -> Network:
    """Blocks of so many layers, each of which adds `growth` channels to all that came before; between blocks
    the channels are halved, and the image is."""

    def parts(width: float, image: Size) -> Iterator[Part]:
        more = _channels(growth, width)
        channels, edge = 2 * more, min(image[1:])
        yield _conv(channels)
        for number, count in enumerate(blocks):
            if number:
                channels //= 2
                yield from (BatchNorm(), RELU, _conv(channels, 1))
                if edge >= 2:
                    yield Pool2d(type="avg_pool2d")
                    edge //= 2
            yield from [
                Joined((BatchNorm(), RELU, _conv(4 * more, 1), BatchNorm(), RELU, _conv(more)))
            ] * count
            channels += more * count
        yield from (BatchNorm(), RELU)

    return lambda width, image: tuple(parts(width, image))


def _entry(name: str, title: str, network: Network, about: str) -> ModelEntry:
    @lru_cache(maxsize=16)
    def passed(options: ModelOptions, shape: Shape) -> Passed:
        assert isinstance(options, ImageNetworkOptions)
        assert shape.image is not None
        parts = (Unflatten(), *network(options.width, shape.image), *HEAD)
        return chained(parts, (shape.features,), shape)

    return ModelEntry(
        name=name,
        title=title,
        params=lambda options, shape: passed(options, shape).params,
        about=f"{about} In its form for images of 32 by 32.",
        options=ImageNetworkOptions,
        needs_image=True,
        modules=lambda options, shape: passed(options, shape).modules,
        kept=lambda options, shape: shape.features + passed(options, shape).kept,
        least=lambda options, shape: passed(options, shape).least,
        small={"width": 0.0625},
    )


VGG11 = _entry(
    "vgg11",
    "VGG-11 with batch normalization",
    _vgg(((64,), (128,), (256, 256), (512, 512), (512, 512))),
    "Eight 3x3 convolutions of 64 to 512 channels in five stages, each followed by max pooling while the "
    "image is at least 2 wide and high; the mean of each channel, and one linear layer.",
)
RESNET18, RESNET34 = (
    _entry(
        f"resnet{2 * sum(blocks) + 2}",
        f"ResNet-{2 * sum(blocks) + 2}",
        _resnet(blocks),
        f"A 3x3 convolution, {sum(blocks)} residual blocks of two 3x3 convolutions in four stages of 64, "
        "128, 256 and 512 channels, the mean of each channel, and a linear layer. A stage halves the image, "
        "down to 1 by 1.",
    )
    for blocks in ((2, 2, 2, 2), (3, 4, 6, 3))
)
DENSENET121 = _entry(
    "densenet121",
    "DenseNet-121",
    _densenet((6, 12, 24, 16)),
    "A 3x3 convolution of 64 channels, and four blocks of 6, 12, 24 and 16 layers, each of which adds 32 "
    "channels to all that came before it (DenseNet-BC). Between blocks the channels are halved, and the "
    "image is by mean pooling while it is at least 2 wide and high.",
)
IMAGE_NETWORKS = (VGG11, RESNET18, RESNET34, DENSENET121)
