"""The networks of the papers: their counts of params, what they keep, and the code that is shown of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whichopt.service.catalog.image_networks import IMAGE_NETWORKS, ImageNetworkOptions
from whichopt.service.catalog.model_entry import ModelEntry
from whichopt.service.catalog.models import model
from whichopt.service.catalog.modules import code
from whichopt.service.catalog.shapes import Shape
from whichopt.workers.workload.models import builder

PAPERS = {"vgg11": 9_231_114, "resnet18": 11_173_962, "resnet34": 21_282_122, "densenet121": 6_956_298}
"""Params for images of 3 channels and 10 classes."""

SHAPES = [((3, 32, 32), 10), ((1, 8, 8), 10), ((2, 9, 5), 7), ((1, 1, 1), 3), ((3, 64, 64), 200)]

every_network = pytest.mark.parametrize("entry", IMAGE_NETWORKS, ids=lambda entry: entry.name)


def _shape(image: tuple[int, int, int], outputs: int = 10) -> Shape:
    return Shape(100, math.prod(image), outputs, image=image)


def _made(entry: ModelEntry, shape: Shape, **options: Any) -> nn.Module:
    return builder(entry)(entry.options(**options), shape)


@pytest.mark.parametrize(("name", "params"), PAPERS.items())
def test_the_counts_are_those_of_the_papers_networks(name: str, params: int) -> None:
    entry = model(name)
    assert entry.params(entry.options(), _shape((3, 32, 32))) == params


@every_network
@pytest.mark.parametrize("width", [1.0, 0.3])
@pytest.mark.parametrize(("image", "outputs"), SHAPES, ids=str)
def test_params_are_counted_and_every_image_is_taken(
    entry: ModelEntry, image: tuple[int, int, int], outputs: int, width: float
) -> None:
    shape = _shape(image, outputs)
    with torch.device("meta"):
        made = _made(entry, shape, width=width)
        inputs = torch.empty(4, shape.features)
    assert sum(param.numel() for param in made.parameters()) == entry.params(
        ImageNetworkOptions(width=width), shape
    )
    assert made(inputs).shape == (4, outputs)


@every_network
@pytest.mark.parametrize("edge", [8, 32])
def test_what_it_keeps_is_what_autograd_saves(entry: ModelEntry, edge: int) -> None:
    """Of each example, within a factor of 2: masks and places of maxima are not numbers of four bytes."""
    shape, width, batch = _shape((3, edge, edge)), 0.25, 8
    made = _made(entry, shape, width=width)
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = made(torch.randn(batch, shape.features))
        held = sum(saved.values()) / (4 * batch)
        kept = entry.kept
        assert kept is not None
        assert outputs.requires_grad  # its graph holds what was saved until here
        assert held / 2 < kept(ImageNetworkOptions(width=width), shape) < 2 * held


@every_network
def test_the_least_batch_is_the_least(entry: ModelEntry) -> None:
    """Of one value a batch normalization knows no variance: small images shrink to one."""
    options = ImageNetworkOptions(width=0.0625)
    for edge, least in ((8, 2), (32, 1)):
        shape = _shape((1, edge, edge))
        assert entry.least(options, shape) == least
        made = _made(entry, shape, width=0.0625)
        assert made(torch.randn(least, shape.features)).isfinite().all()
        if least > 1:
            with pytest.raises(ValueError, match="more than 1 value"):
                made(torch.randn(1, shape.features))


@every_network
def test_the_code_makes_the_same_network(entry: ModelEntry) -> None:
    shape, options = _shape((3, 16, 16)), ImageNetworkOptions(width=0.0625)
    assert entry.modules is not None
    names: dict[str, Any] = {"torch": torch}
    torch.manual_seed(0)
    exec(compile("\n".join(code(entry.modules(options, shape))), "snippet", "exec"), names)
    pasted = names["model"]
    torch.manual_seed(0)
    made = _made(entry, shape, width=0.0625)
    assert list(pasted.state_dict()) == list(made.state_dict())
    inputs = torch.randn(4, shape.features)
    assert torch.equal(pasted(inputs), made(inputs))


def test_the_depth_is_the_number_of_layers_with_weights() -> None:
    """Convolutions and linear layers, without those of shortcuts, as the papers count."""
    for entry, depth in zip(IMAGE_NETWORKS, (9, 18, 34, 121), strict=True):  # vgg11 without two of its three
        with torch.device("meta"):
            made = _made(entry, _shape((3, 32, 32)))
        weights = [path for path, module in made.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        shortcuts = sum(type(module).__name__ == "Projected" for _, module in made.named_modules())
        assert len(weights) - shortcuts == depth
