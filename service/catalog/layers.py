"""The layers of a network that a job describes: for each one its options, and what it makes of a size.

All of it is arithmetic: a network is counted, and a wrong one refused, before anything is queued.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from whichopt.service.catalog.modules import Module, module
from whichopt.service.catalog.shapes import Shape
from whichopt.service.numeric import REAL, WHOLE

MOST_LAYERS, MOST_DEPTH = 64, 4

Size = tuple[int, ...]
"""The shape of one example: (features,), (tokens, features) of a text, or (channels, height, width) of an
image."""

Edge = Annotated[int, Field(ge=1, le=1024), WHOLE]
Padding = Annotated[int, Field(ge=0, le=1024), WHOLE]


@dataclass(frozen=True)
class Passed:
    """What a layer makes of an example of one size, and what that costs.

    `kept` counts the numbers that it keeps of each example until the gradients are known, of four bytes each;
    `least` is the fewest examples of a batch that it can be trained with.
    """

    size: Size
    modules: tuple[Module, ...]
    params: int = 0
    kept: int = 0
    least: int = 1


class Misfit(Exception):
    """A layer cannot take what comes. `needed` and `mend` are words that end a sentence."""

    def __init__(self, needed: str, mend: str) -> None:
        super().__init__(needed)
        self.needed = needed
        self.mend = mend


class LayerOptions(BaseModel):
    """The options of a layer. A layer whose options all have defaults may be written as its name alone.

    Each but a residual block, into which the walk goes layer by layer, has `pass_on`. It returns what becomes
    of an example of that size, with data of that shape, or raises Misfit if the layer cannot take it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


def _width(value: Any) -> Any:
    if value == "outputs" or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError('must be a whole number from 1 to 8192, or "outputs"')


class Linear(LayerOptions):
    """A linear layer with `out` outputs; "outputs" stands for the number that the data need."""

    type: Literal["linear"] = "linear"
    out: Annotated[Annotated[int, Field(ge=1, le=8192)] | Literal["outputs"], BeforeValidator(_width)]
    bias: StrictBool = True

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        *tokens, features = _of_each(size)
        out = shape.outputs if self.out == "outputs" else self.out
        options = {} if self.bias else {"bias": False}
        params = (features + self.bias) * out
        made = module("Linear", features, out, **options)
        return Passed((*tokens, out), (made,), params, kept=prod((*tokens, out)))


class Embedding(LayerOptions):
    """The tokens of a text as `width` features each: the first layer for a text, and for nothing else."""

    type: Literal["embedding"] = "embedding"
    width: Annotated[int, Field(ge=1, le=8192), WHOLE] = 32

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        if shape.tokens is None:
            raise Misfit("the tokens of a text", "leave it out: these data are numbers already")
        if len(size) != 1:
            raise Misfit("tokens", "leave it out: there is one before it")
        made = module("Embedding", shape.tokens, self.width)
        return Passed((*size, self.width), (made,), shape.tokens * self.width, kept=prod(size) * self.width)


class Conv2d(LayerOptions):
    """A convolution of an image to `out` channels, with a square kernel."""

    type: Literal["conv2d"] = "conv2d"
    out: Annotated[int, Field(ge=1, le=8192), WHOLE]
    kernel: Edge = 3
    stride: Edge = 1
    padding: Padding = 0
    bias: StrictBool = True

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        channels, *_ = _image(size, shape)
        after = (self.out, *_windows(size, self.kernel, self.stride, self.padding))
        options: dict[str, int] = {}
        options |= {"stride": self.stride} if self.stride != 1 else {}
        options |= {"padding": self.padding} if self.padding else {}
        options |= {} if self.bias else {"bias": False}
        params = (channels * self.kernel**2 + self.bias) * self.out
        made = module("Conv2d", channels, self.out, self.kernel, **options)
        return Passed(after, (made,), params, kept=prod(after))


class BatchNorm(LayerOptions):
    """Each feature, or channel, scaled by its mean and variance in the batch; running ones in evaluation."""

    type: Literal["batch_norm"] = "batch_norm"

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        del shape
        _whole(size)
        made = module(f"BatchNorm{'1d' if len(size) == 1 else '2d'}", size[0])
        least = 2 if prod(size[1:]) == 1 else 1  # one value has no variance
        return Passed(size, (made,), 2 * size[0], kept=prod(size) + 2 * size[0], least=least)


class LayerNorm(LayerOptions):
    """Each example scaled by its own mean and variance."""

    type: Literal["layer_norm"] = "layer_norm"

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        del shape
        scaled = size[1:] if len(size) == 2 else size  # of a text, each token by itself
        if prod(scaled) == 1:
            raise Misfit("at least 2 values to scale by their variance", "leave this layer out")
        made = module("LayerNorm", scaled[0] if len(scaled) == 1 else scaled)
        return Passed(size, (made,), 2 * prod(scaled), kept=prod(size) + 2 * prod(size) // prod(scaled))


class GroupNorm(LayerOptions):
    """The features, or channels, of each example in groups of equal size, each scaled by its own mean and
    variance."""

    type: Literal["group_norm"] = "group_norm"
    groups: Annotated[int, Field(ge=1, le=8192), WHOLE]

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        del shape
        _whole(size)
        if size[0] % self.groups:
            fitting = [groups for groups in range(1, size[0] + 1) if size[0] % groups == 0][:8]
            raise Misfit(
                f"a number of channels that {self.groups} groups divide",
                f"set groups to a divisor of {size[0]}, such as {', '.join(map(str, fitting))}",
            )
        if prod(size) == self.groups:
            raise Misfit("at least 2 values in each group", "set groups to a smaller number")
        made = module("GroupNorm", self.groups, size[0])
        return Passed(size, (made,), 2 * size[0], kept=prod(size) + 2 * self.groups)


class Activation(LayerOptions):
    """A function of each entry alone."""

    type: Literal["relu", "gelu", "silu", "tanh"]

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        del shape
        name = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "tanh": "Tanh"}[self.type]
        return Passed(size, (module(name),), kept=prod(size))


class Dropout(LayerOptions):
    """Each entry set to 0 with probability `p` in training."""

    type: Literal["dropout"] = "dropout"
    p: Annotated[float, Field(ge=0, lt=1), REAL] = 0.5

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        del shape
        return Passed(size, (module("Dropout", self.p),), kept=2 * prod(size))  # with its mask


class Pool2d(LayerOptions):
    """The maximum, or the mean, of each window of an image; `stride` is the kernel's edge, if it is null."""

    type: Literal["max_pool2d", "avg_pool2d"]
    kernel: Edge = 2
    stride: Edge | None = None
    padding: Padding = 0

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        _image(size, shape)
        if self.padding > self.kernel // 2:
            raise Misfit(
                f"a padding of at most half the kernel, here {self.kernel // 2}",
                "set padding to a smaller number",
            )
        after = (size[0], *_windows(size, self.kernel, self.stride or self.kernel, self.padding))
        options = {"stride": self.stride} if self.stride is not None else {}
        options |= {"padding": self.padding} if self.padding else {}
        highest = self.type == "max_pool2d"
        made = module("MaxPool2d" if highest else "AvgPool2d", self.kernel, **options)
        return Passed(
            after, (made,), kept=prod(after) * (3 if highest else 1)
        )  # with the places of the maxima


class MeanPool(LayerOptions):
    """The mean of each channel of an image."""

    type: Literal["mean_pool"] = "mean_pool"

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        _image(size, shape)
        return Passed(size[:1], (module("AdaptiveAvgPool2d", 1), module("Flatten")), kept=size[0])


class Flatten(LayerOptions):
    """The entries of an image as features."""

    type: Literal["flatten"] = "flatten"

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        del shape
        _whole(size)
        return Passed((prod(size),), (module("Flatten"),))


class Unflatten(LayerOptions):
    """Features as an image of `to` (channels, height, width); null stands for the image that the data are."""

    type: Literal["unflatten"] = "unflatten"
    to: tuple[Edge, Edge, Edge] | None = None

    def pass_on(self, size: Size, shape: Shape) -> Passed:
        (features,) = _flat(size)
        to = self.to or shape.image
        if to is None:
            raise Misfit(
                "data that are images, or to", 'set to to [channels, height, width], such as "to": [1, 8, 8]'
            )
        if prod(to) != features:
            raise Misfit(
                f"{prod(to)} features for an image of {' x '.join(map(str, to))}",
                f"set to to three numbers whose product is {features}",
            )
        return Passed(tuple(to), (module("Unflatten", 1, tuple(to)),))


class Residual(LayerOptions):
    """Layers whose inputs are added to their outputs, which must have the size of the inputs."""

    type: Literal["residual"] = "residual"
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=MOST_LAYERS)


def _named(value: Any) -> Any:
    """Turn a name alone into the layer with its defaults."""
    return {"type": value} if isinstance(value, str) else value


SimpleLayer: TypeAlias = (
    Linear
    | Embedding
    | Conv2d
    | BatchNorm
    | LayerNorm
    | GroupNorm
    | Activation
    | Dropout
    | Pool2d
    | MeanPool
    | Flatten
    | Unflatten
)

Layer: TypeAlias = Annotated[
    SimpleLayer | Residual,
    Field(discriminator="type"),
    BeforeValidator(_named),
]
Residual.model_rebuild()

KINDS: dict[str, type[LayerOptions]] = {
    name: cast("type[LayerOptions]", kind)
    for kind in get_args(get_args(Layer)[0])
    for name in get_args(kind.model_fields["type"].annotation)
}
"""The class of options of each type of layer."""


def bounded(layers: Any) -> Any:
    """Check how many layers there are, and how deep, before any is read.

    Raises:
        ValueError: it is no list, it has none or too many, or a block lies too deep.
    """
    if not isinstance(layers, list | tuple) or not layers:
        raise ValueError("must be a list of at least one layer")
    total, waiting = 0, [(layers, 1)]
    while waiting:
        some, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise ValueError(f"layers may be nested {MOST_DEPTH} deep, and here a residual block lies deeper")
        for one in some if isinstance(some, list | tuple) else ():
            total += 1
            inside = one.get("layers") if isinstance(one, dict) else getattr(one, "layers", None)
            waiting += [(inside, depth + 1)] if inside is not None else []
    if total > MOST_LAYERS:
        raise ValueError(f"a network may have {MOST_LAYERS} layers in all, and this one has {total}")
    return layers


def types() -> Iterator[tuple[str, type[LayerOptions]]]:
    """Yield the name and the options of each type of layer."""
    yield from KINDS.items()


def words(size: Size) -> str:
    """Return a size in words."""
    if len(size) == 1:
        return f"{size[0]} feature{'s' if size[0] != 1 else ''}"
    if len(size) == 2:
        return f"{size[0]} tokens of {words(size[1:])} each"
    channels, height, width = size
    return f"an image of {channels} channel{'s' if channels != 1 else ''}, {height} high and {width} wide"


def _of_each(size: Size) -> Size:
    """Return the size of what has features, of a text for each token."""
    return size if len(size) == 2 else _flat(size)


def _whole(size: Size) -> None:
    """Raise Misfit for a text: what is made of its tokens together would tell a token what comes after it."""
    if len(size) == 2:
        raise Misfit(
            "features or an image",
            "leave it out: it would mix the tokens of a text, and each must be predicted from those before",
        )


def _flat(size: Size) -> Size:
    if len(size) != 1:
        raise Misfit("features, not an image", "put 'flatten' or 'mean_pool' before it")
    return size


def _image(size: Size, shape: Shape) -> Size:
    if len(size) != 3:
        to = "'unflatten'" if shape.image else '{"type": "unflatten", "to": [channels, height, width]}'
        raise Misfit("an image", f"put {to} before it")
    return size


def _windows(size: Size, kernel: int, stride: int, padding: int) -> Size:
    """Return the height and width of what a moving window gives."""
    _, *edges = size
    if min(edges) + 2 * padding < kernel:
        raise Misfit(
            f"an image at least {kernel - 2 * padding} high and wide for a kernel of {kernel}",
            "make kernel smaller or padding larger, or leave out pooling before it",
        )
    return tuple((edge + 2 * padding - kernel) // stride + 1 for edge in edges)
