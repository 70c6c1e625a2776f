"""The layers of a network that a job describes, one after the other: for lint, pages and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from whichopt.service.catalog.layers import Layer, LayerOptions, Residual, Size, words
from whichopt.service.catalog.models import MODELS
from whichopt.service.catalog.networks import LayersOptions
from whichopt.service.catalog.shapes import Shape


class ListedLayer(NamedTuple):
    """A layer, how deep it lies in residual blocks, and what it makes of an example."""

    depth: int
    text: str
    gives: str
    params: int


def layers_of(name: str, options: Mapping[str, Any]) -> tuple[Layer, ...] | None:
    """Return the layers of a recorded model; None if it is not described by layers.

    That is so, too, if another version's layers are unknown here: the job stands as it was recorded.
    """
    entry = next((one for one in MODELS if one.name == name), None)
    if entry is None or not issubclass(entry.options, LayersOptions):
        return None
    try:
        return entry.options.model_validate(dict(options)).layers
    except ValidationError:
        return None


def params_of(name: str, options: Mapping[str, Any], shape: Shape) -> int | None:
    """Return the number of params of a recorded model; None if this version does not know it."""
    entry = next((one for one in MODELS if one.name == name), None)
    if entry is None:
        return None
    try:
        return entry.params(entry.options.model_validate(dict(options)), shape)
    except ValidationError:
        return None


def listed(layers: Sequence[Layer], shape: Shape) -> tuple[ListedLayer, ...]:
    """Return the layers in their order, those of residual blocks among them."""
    return tuple(_listed(layers, (shape.features,), shape, 0))


def _listed(layers: Sequence[Layer], size: Size, shape: Shape, depth: int) -> Iterator[ListedLayer]:
    for layer in layers:
        if isinstance(layer, Residual):
            inside = tuple(_listed(layer.layers, size, shape, depth + 1))
            params = sum(one.params for one in inside if one.depth == depth + 1)
            yield ListedLayer(depth, "residual: added to its inputs", words(size), params)
            yield from inside
        else:
            passed = layer.pass_on(size, shape)
            size = passed.size
            yield ListedLayer(depth, _text(layer), words(size), passed.params)


def _text(layer: LayerOptions) -> str:
    """Return the type of a layer, with the options that are not its defaults."""
    given = layer.model_dump(mode="json", exclude_defaults=True)
    kind = layer.model_dump()["type"]
    options = (f"{name} {value}" for name, value in given.items() if name != "type")
    return ", ".join((str(kind), *options))
