"""Networks of many layers, in a stack and out of it, where float32 says little."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.builders.pairs import STACKABLE
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.stacked.feed import Feed
from whichopt.workers.engine.stacked.nets import Mapped, nets
from whichopt.workers.engine.stacked.stack import Stack
from whichopt.workers.workload import Batch, Player, Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

DEEP = [model for model in STACKABLE if model.small]


@pytest.mark.parametrize("dataset", ["digits", "mnist1d"])
@pytest.mark.parametrize("model", DEEP, ids=lambda model: model.name)
def test_gradients_are_those_of_each_network_alone(
    dataset: str, model: ModelEntry, make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    """By layers and by vmap. In float32 they may be far apart, by rounding alone: a channel of a few pixels
    may hardly vary, and batch normalization makes of its rounding what a ReLU cuts or lets through. Of images
    one pixel high, a bias of densenet121 is 6% off its gradient by torch's own modules."""
    single = make_workload(dataset, model.name, **model.small)
    workload = dataclasses.replace(single, model=lambda seed: single.model(seed).double())
    plans = [make_plan("sgd", init=init, order=init, batch_size=48) for init in range(2)]
    feed = Feed(plans, [workload.splits(plan.seeds.split) for plan in plans])
    first = next(iter(feed.batches(0, 48)))
    batch = Batch(first.inputs.double(), first.targets)
    (player,) = workload.players
    alone = [_alone(player, workload, plan, batch, row) for row, plan in enumerate(plans)]
    for kind in (nets(workload), Mapped(workload.model(0))):
        stack = Stack(workload, kind, plans)
        (learners,) = stack.players
        kind.gradients(player, stack.params, stack.buffers, batch, {}, learners.grads, None)
        for row, wanted in enumerate(alone):
            largest = max(grad.abs().max().item() for grad in wanted)
            for stacked, true in zip(learners.grads.values(), wanted, strict=True):
                # A bias before a batch normalization has the gradient 0, and rounding of 1e-16 of the others.
                torch.testing.assert_close(stacked[row], true, rtol=1e-6, atol=1e-10 * largest)


def _alone(player: Player, workload: Workload, plan: TrialPlan, batch: Batch, row: int) -> list[Tensor]:
    net = workload.model(plan.seeds.init).train()
    loss, _ = player.loss(net, Batch(batch.inputs[row], batch.targets[row]), {})
    return list(torch.autograd.grad(loss, [net.get_parameter(name) for name in player.params]))
