"""Layers for texts: a network that begins with an embedding, and acts on each token by itself."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.catalog.listed_layers import listed
from whichopt.service.catalog.networks import LayersOptions, network
from whichopt.service.catalog.shapes import Shape
from whichopt.service.errors import InvalidSpec

TEXT, TABLE = Shape(100, 12, 39, tokens=39), Shape(100, 12, 3)

EMBEDDING: Any = {"type": "embedding", "width": 6}
OUT: Any = {"type": "linear", "out": "outputs"}


def _network(*layers: Any, shape: Shape = TEXT) -> Any:
    return network(LayersOptions(layers=layers), shape)


def test_it_is_counted_by_token() -> None:
    found = _network(EMBEDDING, "layer_norm", {"type": "linear", "out": 8}, "gelu", "dropout", OUT)
    assert found.params == 39 * 6 + 2 * 6 + 7 * 8 + 9 * 39
    told = listed(LayersOptions(layers=(EMBEDDING, OUT)).layers, TEXT)
    assert [one.gives for one in told] == ["12 tokens of 6 features each", "12 tokens of 39 features each"]


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        ((OUT,), TEXT, "the first layer must be an embedding"),
        ((EMBEDDING, OUT), TABLE, "embedding needs the tokens of a text"),
        ((EMBEDDING, EMBEDDING, OUT), TEXT, "there is one before it"),
        ((EMBEDDING, "batch_norm", OUT), TEXT, "would mix the tokens of a text"),
        ((EMBEDDING, "flatten", OUT), TEXT, "would mix the tokens of a text"),
        ((EMBEDDING, {"type": "group_norm", "groups": 2}, OUT), TEXT, "would mix the tokens of a text"),
        ((EMBEDDING, "mean_pool", OUT), TEXT, "needs an image"),
        ((EMBEDDING, "unflatten", OUT), TEXT, "needs features, not an image"),
        ((EMBEDDING,), TEXT, 'end with {"type": "linear", "out": "outputs"}'),
    ],
)
def test_what_does_not_fit_is_refused(layers: Any, shape: Shape, words: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        _network(*layers, shape=shape)
    assert words in refused.value.detail
