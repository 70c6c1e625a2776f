"""Networks of many layers, in a stack and out of it, where float32 says little."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from tests.builders.pairs import STACKABLE
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.stacked.feed import Feed
from whichopt.workers.engine.stacked.nets import nets
from whichopt.workers.engine.stacked.stack import Stack
from whichopt.workers.workload import Batch, Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

DEEP = [model for model in STACKABLE if model.small]


@pytest.mark.parametrize("model", DEEP, ids=lambda model: model.name)
def test_deep_networks_are_the_same_function_of_images_one_pixel_high(
    model: ModelEntry, make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    """There batch normalization takes differences that are rounding alone, in a stack or out of it: one bias
    of densenet121 is 6% off its gradient in float32 by torch's own modules. In float64 the two agree."""
    single = make_workload("mnist1d", model.name, **model.small)
    workload = dataclasses.replace(single, model=lambda seed: single.model(seed).double())
    plans = [make_plan("sgd", init=init, order=init, batch_size=48) for init in range(2)]
    stack = Stack(workload, nets(workload), plans)
    (learners,) = stack.players
    feed = Feed(plans, [workload.splits(plan.seeds.split) for plan in plans])
    first = next(iter(feed.batches(0, 48)))
    batch = Batch(first.inputs.double(), first.targets)
    nets(workload).gradients(learners.player, stack.params, stack.buffers, batch, {}, learners.grads, None)
    for row, plan in enumerate(plans):
        net = workload.model(plan.seeds.init).train()
        loss, _ = learners.player.loss(net, Batch(batch.inputs[row], batch.targets[row]), {})
        alone = torch.autograd.grad(loss, [net.get_parameter(name) for name in learners.player.params])
        largest = max(grad.abs().max().item() for grad in alone)
        for stacked, wanted in zip(learners.grads.values(), alone, strict=True):
            # A bias before a batch normalization has the gradient 0, and rounding of 1e-16 of the others.
            torch.testing.assert_close(stacked[row], wanted, rtol=1e-6, atol=1e-10 * largest)
