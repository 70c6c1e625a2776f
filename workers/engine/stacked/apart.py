"""Trains two trials for a few steps in a stack and alone, and finds how far apart that ends."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.engine.stacked.nets import Layered, nets
from whichopt.workers.engine.stacked.rehearsal import rehearsal
from whichopt.workers.workload import Workload

STEPS = 4
EXAMPLES = 256
"""Most examples of an evaluation."""


def made_of_layers(workload: Workload) -> bool:
    """Return whether every part of the network has a stacked layer, each of which is held against its module
    by tests; anything else is stacked by `torch.func.vmap`."""
    return isinstance(nets(workload), Layered)


def apart(workload: Workload, plans: Sequence[TrialPlan]) -> float:
    """Return the greatest difference that a few steps and an evaluation make between a stack and solo.

    It is a share of the greatest value there is: of the losses in training, and of what each network answers
    to the first examples of its validation split.

    Raises:
        RuntimeError: the trials cannot be stacked at all.
    """
    stop = STEPS * plans[0].training.batch_size
    stack = rehearsal(workload, plans, block=len(plans))
    losses = stack.train(stop)
    splits = [workload.splits(plan.seeds.split).validation.first(EXAMPLES) for plan in plans]
    together = stack.scores().outputs(splits, slice(0, len(plans)))
    greatest = 0.0
    for row, plan in enumerate(plans):
        alone = TrialRun(workload, plan)
        loss = alone.train(stop)
        alone.model.eval()
        answers = workload.outputs(alone.model, splits[row])
        greatest = max(greatest, _share(losses[row], loss), _share(together[row], answers))
    return greatest


def _share(found: Tensor, wanted: Tensor) -> float:
    difference = (found.double() - wanted.double()).abs().max().item()
    size = max(found.abs().max().item(), wanted.abs().max().item())
    if difference == 0:
        return 0.0
    return difference / size if size < float("inf") else float("inf")
