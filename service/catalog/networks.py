"""A network that a job describes by its layers: walked layer by layer, counted, and refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Annotated

from pydantic import BeforeValidator, Field

from whichopt.service.catalog.layers import (
    MOST_LAYERS,
    BatchNorm,
    Embedding,
    Layer,
    Linear,
    Misfit,
    Passed,
    Residual,
    SimpleLayer,
    Size,
    bounded,
    words,
)
from whichopt.service.catalog.layers import Activation as ActivationLayer
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.modules import Module, residual
from whichopt.service.catalog.shapes import Shape
from whichopt.service.errors import InvalidSpec

FIELD = "workload.model.layers"
"""Path of the layers in a job."""

DEFAULT: tuple[Layer, ...] = (
    Linear(out=64, bias=False),
    BatchNorm(),
    ActivationLayer(type="relu"),
    Linear(out="outputs"),
)


class LayersOptions(ModelOptions):
    layers: Annotated[tuple[Layer, ...], BeforeValidator(bounded)] = Field(
        default=DEFAULT,
        min_length=1,
        max_length=MOST_LAYERS,
        description="Layers, from the features of the data to `outputs`. A layer is an object with its type "
        "and options, or its type alone.",
    )


@dataclass(frozen=True)
class Network:
    """A network as it was counted, for data of one shape; see `layers.Passed` for `kept` and `least`."""

    modules: tuple[Module, ...]
    params: int
    kept: int
    least: int


@lru_cache(maxsize=64)
def network(options: ModelOptions, shape: Shape) -> Network:
    """Return the network of these layers.

    Raises:
        InvalidSpec: a layer cannot take what comes, the last one does not give what the data need, or
            nothing could be trained. The field is the layer's path.
    """
    assert isinstance(options, LayersOptions)
    start: Size = (shape.features,)
    if shape.tokens is not None and not isinstance(options.layers[0], Embedding):
        raise InvalidSpec(
            f"{FIELD}.0: the data are the tokens of a text, so the first layer must be an embedding, such as "
            '{"type": "embedding", "width": 32}',
            field=f"{FIELD}.0",
            value=options.layers[0].type,
            allowed=["embedding"],
        )
    steps = list(_walk(options.layers, start, shape, FIELD))
    end = steps[-1].size
    wanted: Size = (shape.outputs,) if shape.tokens is None else (shape.features, shape.outputs)
    if end != wanted:
        raise InvalidSpec(
            f"the last layer must give the {shape.outputs} outputs that the data need, and it gives "
            f'{words(end)}; end with {{"type": "linear", "out": "outputs"}}',
            field=f"{FIELD}.{len(options.layers) - 1}",
            value=list(end),
            allowed=[shape.outputs],
        )
    params = sum(step.params for step in steps)
    if params == 0:
        raise InvalidSpec(
            "none of the layers has params, so there is nothing to train; add a linear layer",
            field=FIELD,
            value=0,
        )
    return Network(
        modules=tuple(made for step in steps for made in step.modules),
        params=params,
        kept=prod(start) + sum(step.kept for step in steps),
        least=max(step.least for step in steps),
    )


def _walk(layers: Sequence[Layer], size: Size, shape: Shape, field: str) -> Iterator[Passed]:
    """Yield what each layer makes of what comes; a residual block is one layer."""
    for i, layer in enumerate(layers):
        path = f"{field}.{i}"
        passed = (
            _block(layer, size, shape, path)
            if isinstance(layer, Residual)
            else _passed(layer, size, shape, path)
        )
        size = passed.size
        yield passed


def _passed(layer: SimpleLayer, size: Size, shape: Shape, path: str) -> Passed:
    try:
        return layer.pass_on(size, shape)
    except Misfit as misfit:
        raise InvalidSpec(
            f"{path}: {layer.type} needs {misfit.needed}, and what comes is {words(size)}; {misfit.mend}",
            field=path,
            value=list(size),
            allowed=misfit.needed,
        ) from None


def _block(block: Residual, size: Size, shape: Shape, path: str) -> Passed:
    steps = list(_walk(block.layers, size, shape, f"{path}.layers"))
    end = steps[-1].size
    if end != size:
        last = f"{path}.layers.{len(steps) - 1}"
        raise InvalidSpec(
            f"{last}: a residual block adds its inputs to its outputs, so its last layer must give "
            f"{words(size)}, and it gives {words(end)}; change the sizes inside, or put this layer before or "
            "after the block",
            field=last,
            value=list(end),
            allowed=list(size),
        )
    return Passed(
        size=size,
        modules=(residual([made for step in steps for made in step.modules]),),
        params=sum(step.params for step in steps),
        kept=prod(size) + sum(step.kept for step in steps),
        least=max(step.least for step in steps),
    )
