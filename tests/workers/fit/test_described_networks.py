"""Every network for images that the catalog describes is made again by the programs that predict."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from whichopt.service.catalog.image_networks import IMAGE_NETWORKS
from whichopt.service.catalog.model_entry import ModelEntry
from whichopt.service.catalog.shapes import Shape
from whichopt.workers.fit import predict, predict_images
from whichopt.workers.fit.fitted import _described
from whichopt.workers.workload.layers import built

SHAPE = Shape(10, 64, 3, image=(1, 8, 8))


@pytest.mark.parametrize("program", [predict, predict_images], ids=lambda one: one.__name__)
@pytest.mark.parametrize("entry", IMAGE_NETWORKS, ids=lambda one: one.name)
def test_a_described_network_gives_the_same_bits(entry: ModelEntry, program: ModuleType) -> None:
    assert entry.modules is not None
    modules = entry.modules(entry.options(**entry.small), SHAPE)
    ours = built(modules).eval()
    theirs = program._chain(torch.nn.Sequential, [_described(one) for one in modules])
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(theirs.eval()(inputs), ours(inputs))
