"""The layers of a network as a list: their sizes and params are those of the network as it is counted."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.builders.architectures import architectures
from whichopt.service.catalog.listed_layers import layers_of, listed, params_of
from whichopt.service.catalog.networks import LayersOptions, network
from whichopt.service.catalog.shapes import Shape


@given(architectures())
def test_the_list_adds_up_to_the_network(drawn: tuple[Shape, list[Any]]) -> None:
    shape, described = drawn
    layers = layers_of("layers", {"layers": described})
    assert layers is not None
    rows = listed(layers, shape)
    whole = network(LayersOptions(layers=layers), shape)
    assert sum(row.params for row in rows if row.depth == 0) == whole.params
    assert params_of("layers", {"layers": described}, shape) == whole.params
    assert rows[-1].gives == f"{shape.outputs} feature{'s' if shape.outputs > 1 else ''}"


def test_blocks_come_before_what_is_inside() -> None:
    block = {"type": "residual", "layers": [{"type": "linear", "out": 6, "bias": False}, "relu"]}
    layers = layers_of("layers", {"layers": [block, {"type": "linear", "out": "outputs"}]})
    assert layers is not None
    rows = listed(layers, Shape(100, 6, 3))
    assert [(row.depth, row.text, row.gives, row.params) for row in rows] == [
        (0, "residual: added to its inputs", "6 features", 36),
        (1, "linear, out 6, bias False", "6 features", 36),
        (1, "relu", "6 features", 0),
        (0, "linear, out outputs", "3 features", 21),
    ]


def test_a_model_that_is_not_described_or_not_known_has_no_list() -> None:
    assert layers_of("mlp", {"hidden": [8]}) is None
    assert layers_of("layers", {"layers": ["attention"]}) is None
    assert layers_of("of another version", {}) is None
    assert params_of("mlp", {"hidden": [8]}, Shape(100, 4, 2)) == 5 * 8 + 9 * 2
    assert params_of("mlp", {"width": 8}, Shape(100, 4, 2)) is None
    assert params_of("of another version", {}, Shape(100, 4, 2)) is None
