"""Networks by their layers: what the service counts in plain Python is what torch makes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from tests.builders.architectures import architectures
from whichopt.service.catalog.models import LayersOptions
from whichopt.service.catalog.networks import network
from whichopt.service.catalog.shapes import Shape
from whichopt.service.spec.batch_checks import BYTES
from whichopt.workers.workload.layers import Residual, built

BATCH = 5


@settings(max_examples=150, deadline=None)
@given(drawn=architectures())
def test_what_is_counted_is_what_torch_makes(drawn: tuple[Shape, list[Any]]) -> None:
    shape, layers = drawn
    counted = network(LayersOptions(layers=layers), shape)
    made = built(counted.modules)
    assert sum(param.numel() for param in made.parameters()) == counted.params
    inputs = torch.randn(BATCH, shape.features)
    held, outputs = _kept(made, inputs)
    assert outputs.shape == (BATCH, shape.outputs)
    counted_bytes = BYTES * counted.kept * BATCH
    assert held <= counted_bytes
    outputs.sum().backward()  # type: ignore[no-untyped-call]


@settings(max_examples=60, deadline=None)
@given(drawn=architectures())
def test_it_can_be_trained_with_the_fewest_examples_that_it_says(drawn: tuple[Shape, list[Any]]) -> None:
    shape, layers = drawn
    counted = network(LayersOptions(layers=layers), shape)
    made = built(counted.modules)
    made(torch.randn(counted.least, shape.features))
    if counted.least > 1:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            made(torch.randn(counted.least - 1, shape.features))


def test_a_residual_block_adds_its_inputs() -> None:
    options = LayersOptions.model_validate(
        {"layers": [{"type": "residual", "layers": [{"type": "linear", "out": 4}, "tanh"]}, "relu"]}
    )
    made = built(network(options, Shape(examples=10, features=4, outputs=4)).modules)
    assert isinstance(made, nn.Sequential)
    block = made[0]
    assert isinstance(block, Residual)
    x = torch.randn(3, 4)
    assert torch.equal(block(x), x + torch.tanh(block[0](x)))


def test_activations_of_a_plain_network_are_counted_closely() -> None:
    """Inputs, and the outputs of each layer; the last outputs belong to the loss."""
    options = LayersOptions.model_validate(
        {"layers": [{"type": "linear", "out": 32}, "tanh", {"type": "linear", "out": "outputs"}]}
    )
    counted = network(options, Shape(examples=10, features=16, outputs=2))
    assert counted.kept == 16 + 32 + 32 + 2
    held, _ = _kept(built(counted.modules), torch.randn(BATCH, 16))
    assert held == BYTES * BATCH * (16 + 32)


def _kept(made: nn.Module, inputs: Tensor) -> tuple[int, Tensor]:
    """Return the bytes of the tensors that autograd keeps, but for params and buffers, and the outputs."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*made.parameters(), *made.buffers())}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs: Tensor = made(inputs)
    assert math.isfinite(outputs.sum().item())
    return sum(sizes.values()), outputs
