"""Class weights: by the training rows alone, in the loss alone, and in a stack each trial's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight
from torch.nn.functional import cross_entropy

from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Phase
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.engine.stacked import StackedExecutor
from whichopt.workers.engine.stacked.feed import Feed
from whichopt.workers.engine.stacked.nets import Layered, Mapped, Nets, nets
from whichopt.workers.workload import Workload, build
from whichopt.workers.workload.tasks import CRITERIA

MakePlan = Callable[..., TrialPlan]


def _workload(**task: Any) -> Workload:
    body = {"dataset": "breast_cancer", "model": {"name": "mlp", "hidden": [8]}}
    weighted = {**body, "task": {"name": "classification", **task}}
    return build(resolve(JobSpec.model_validate({"workload": weighted})).cataloged)


@pytest.fixture(scope="module")
def balanced() -> Workload:
    return _workload(class_weight="balanced")


def test_the_weights_are_scikit_learns_of_the_training_rows_alone(balanced: Workload) -> None:
    for seed in (0, 3):
        splits = balanced.splits(seed)
        assert splits.train.weights is not None
        wanted = compute_sample_weight("balanced", splits.train.targets.numpy())
        # Rounded to float32.
        np.testing.assert_allclose(splits.train.weights.numpy(), wanted, rtol=1e-6)
        assert splits.validation.weights is splits.test.weights is None
    plain = _workload().splits(3)
    assert plain.train.weights is None
    assert torch.equal(plain.train.inputs, balanced.splits(3).train.inputs)


@pytest.mark.parametrize(("size", "width"), [(1, 1), (7, 3), (32, 10), (256, 129)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_the_weighted_loss_is_torchs_and_its_slope_autograds_to_the_bit(
    size: int, width: int, scale: float
) -> None:
    criteria = CRITERIA["classification"]
    random = torch.Generator().manual_seed(size)
    outputs = (scale * torch.randn(4, size, width, generator=random)).requires_grad_()
    targets = torch.randint(width, (4, size), generator=random)
    by_class = torch.rand(4, width, generator=random) + 0.1
    weights = by_class.gather(1, targets)
    losses = criteria.loss(outputs, targets, weights)
    (wanted,) = torch.autograd.grad(losses.sum(), outputs)
    with torch.no_grad():
        found, slope = criteria.slope(outputs, targets, weights)
    assert torch.equal(slope, wanted)
    assert torch.equal(found, losses)
    for row in range(4):
        expected = cross_entropy(outputs[row], targets[row], weight=by_class[row])
        # As without weights: some roundings of float32 of values of that scale.
        torch.testing.assert_close(losses[row], expected, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("way", [Layered, Mapped])
def test_each_trial_of_a_stack_has_the_weights_of_its_own_split(
    way: type, balanced: Workload, make_plan: MakePlan
) -> None:
    """Splits of different seeds, in one batch: the gradients are those of torch's own loss for each."""
    plans = [make_plan("sgd", init=at, order=at, split=at, batch_size=48) for at in range(3)]
    found = nets(balanced)
    kind: Nets = found if way is Layered else Mapped(balanced.model(0))
    assert type(kind) is way
    splits = [balanced.splits(plan.seeds.split) for plan in plans]
    batch = next(iter(Feed(plans, splits).batches(0, 48)))
    models = [balanced.model(plan.seeds.init) for plan in plans]
    params = {
        name: torch.stack([model.get_parameter(name).detach() for model in models])
        for name, _ in models[0].named_parameters()
    }
    grads = {name: torch.zeros_like(param) for name, param in params.items()}
    (player,) = balanced.players
    losses, _ = kind.gradients(player, params, {}, batch, {}, grads, None)
    for row, (model, split) in enumerate(zip(models, splits, strict=True)):
        counts = torch.bincount(split.train.targets)
        loss = cross_entropy(model(batch.inputs[row]), batch.targets[row], weight=1 / counts)
        torch.testing.assert_close(losses[row], loss.detach(), rtol=1e-5, atol=1e-6)
        torch.autograd.backward(loss)
        for name, param in model.named_parameters():
            # Other kernels sum in another order: a few last bits of float32.
            torch.testing.assert_close(grads[name][row], param.grad, rtol=1e-4, atol=1e-6)


def test_both_executors_train_by_them_and_measure_without(
    balanced: Workload, make_plan: MakePlan, watch: Any
) -> None:
    plans = [make_plan("adam", init=at, order=at, split=at, phase=Phase.CONFIRM) for at in range(3)]
    solo = SoloExecutor().run(balanced, plans, watch)
    stacked = StackedExecutor().run(balanced, plans, watch)
    plain = SoloExecutor().run(_workload(), plans, watch)
    for alone, beside, without in zip(solo, stacked, plain, strict=True):
        assert alone.metrics["test"] == pytest.approx(beside.metrics["test"], rel=1e-3)
        assert alone.curves["train.loss"] != without.curves["train.loss"]
        assert alone.reference == without.reference
