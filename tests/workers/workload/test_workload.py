"""Workloads: init from a seed, metrics in their units, the constant predictor, and fitness for stacking."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.builders.gradients import alone_and_exact
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import dataset
from whichopt.service.catalog.models import MODELS, ModelEntry
from whichopt.service.errors import UnknownName
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.splits import RANDOM, divided
from whichopt.workers.workload import Workload, batches, build
from whichopt.workers.workload.data import TABLES
from whichopt.workers.workload.tasks import CRITERIA

MakeWorkload = Callable[..., Workload]
CLASSIFIERS = [model for model in MODELS if "classification" in model.tasks]


def _params(model: nn.Module) -> Tensor:
    return torch.cat([param.detach().flatten() for param in model.parameters()])


def test_is_built_once_per_process(make_workload: MakeWorkload) -> None:
    assert make_workload("wine", "mlp", hidden=[4]) is make_workload("wine", "mlp", hidden=[4])
    assert make_workload("wine", "mlp", hidden=[4]) is not make_workload("wine", "mlp", hidden=[5])
    workload = make_workload()
    assert workload.splits(1) is workload.splits(1)


def test_its_data_and_its_model_are_found_in_the_catalog_that_is_handed_in() -> None:
    """As entries of their own, which share a loader and a builder with those of the catalog."""
    known = built_in()
    mine = replace(known.dataset("wine"), name="mine", loader="wine")
    small = replace(known.model("mlp"), name="small")
    catalog = replace(known, datasets=(*known.datasets, mine), models=(*known.models, small))
    body = {"workload": {"dataset": "mine", "model": {"name": "small", "hidden": [4]}}}
    spec = resolve(JobSpec.model_validate(body), catalog).cataloged
    workload = build(spec, catalog)
    assert workload is build(spec, catalog)
    plain = build(
        resolve(JobSpec.model_validate({"workload": {"dataset": "wine", "model": "mlp"}})).cataloged
    )
    assert torch.equal(workload.splits(1).train.inputs, plain.splits(1).train.inputs)
    assert [len(param) for param in workload.model(0).parameters()] == [4, 4, 3, 3]
    with pytest.raises(UnknownName, match="no dataset 'mine'"):
        build(spec)


@pytest.mark.parametrize("entry", CLASSIFIERS, ids=lambda entry: entry.name)
def test_init_is_a_pure_function_of_the_seed(entry: ModelEntry, make_workload: MakeWorkload) -> None:
    workload = make_workload("digits", entry.name, **entry.small)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = _params(workload.model(5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(_params(workload.model(5)), first)
    assert not torch.equal(_params(workload.model(6)), first)
    # torch's own generator would drop all but the low 32 bits.
    assert not torch.equal(_params(workload.model(5 + 2**32)), first)


def test_classification_metrics(make_workload: MakeWorkload) -> None:
    workload = make_workload("wine")
    splits = workload.splits(0)
    model = workload.model(0)
    logits = model(splits.test.inputs).detach().double().numpy()
    targets = splits.test.targets.numpy()
    nll = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(targets)), targets]
    found = workload.evaluate(model, splits.test)
    # Both in float64, from the same float32 logits.
    assert found["nll"].item() == pytest.approx(nll.mean(), rel=1e-12)
    assert found["accuracy"].item() == pytest.approx((logits.argmax(axis=1) == targets).mean(), rel=1e-12)


def test_regression_metrics_are_in_the_targets_own_units(make_workload: MakeWorkload) -> None:
    workload = make_workload("diabetes")
    entry = dataset("diabetes")
    labels = TABLES["diabetes"](entry.options()).labels
    sizes = entry.sizes(entry.options())
    train, _, test = (labels[part] for part in divided(RANDOM, None, len(labels), sizes, 4))
    splits = workload.splits(4)
    model = workload.model(0)
    outputs = model(splits.test.inputs).detach().double().numpy()[:, 0]
    errors = outputs * train.std() + train.mean() - test
    found = workload.evaluate(model, splits.test)
    # The standardized targets are rounded to float32.
    assert found["rmse"].item() == pytest.approx(math.sqrt((errors**2).mean()), rel=1e-5)
    assert found["r2"].item() == pytest.approx(1 - (errors**2).mean() / test.var(), rel=1e-5)


def test_the_constant_predictor_of_classes_is_their_frequencies(make_workload: MakeWorkload) -> None:
    workload = make_workload("wine")
    splits = workload.splits(2)
    frequencies = np.bincount(splits.train.targets.numpy()) / len(splits.train)
    targets = splits.test.targets.numpy()
    reference = workload.reference(splits)
    # float64 throughout.
    assert reference["nll"] == pytest.approx(-np.log(frequencies[targets]).mean(), rel=1e-12)
    assert reference["accuracy"] == pytest.approx((targets == frequencies.argmax()).mean(), rel=1e-12)


def test_a_class_that_training_lacks_does_not_make_the_constant_predictor_infinite() -> None:
    row = CRITERIA["classification"].constant(torch.tensor([0, 0, 1]), 3)
    assert row.isfinite().all()
    assert row.argmin() == 2


def test_the_constant_predictor_of_a_number_is_its_mean(make_workload: MakeWorkload) -> None:
    workload = make_workload("diabetes")
    entry = dataset("diabetes")
    labels = TABLES["diabetes"](entry.options()).labels
    sizes = entry.sizes(entry.options())
    train, _, test = (labels[part] for part in divided(RANDOM, None, len(labels), sizes, 4))
    reference = workload.reference(workload.splits(4))
    # The standardized targets are rounded to float32.
    assert reference["rmse"] == pytest.approx(math.sqrt(((test - train.mean()) ** 2).mean()), rel=1e-5)
    assert reference["r2"] <= 0


def test_evaluation_does_not_depend_on_how_many_examples_it_takes_at_once(
    make_workload: MakeWorkload,
) -> None:
    workload = make_workload("wine")
    test, model = workload.splits(0).test, workload.model(0)
    whole = workload.evaluate(model, test)
    parts = dataclasses.replace(workload, evaluated=7).evaluate(model, test)
    # A product of another height may be summed in another order: some last bits of float32 logits.
    assert parts["nll"].item() == pytest.approx(whole["nll"].item(), rel=1e-6)


@pytest.mark.parametrize("entry", CLASSIFIERS, ids=lambda entry: entry.name)
def test_the_loss_can_be_stacked(entry: ModelEntry, make_workload: MakeWorkload) -> None:
    """One forward and backward over stacked params gives each trial's own gradients."""
    workload = make_workload("digits", entry.name, **entry.small)
    (player,) = workload.players
    batch = next(batches(workload.splits(0).train, 1, 0, [16]))
    models = [workload.model(seed) for seed in (1, 2)]
    params, buffers = torch.func.stack_module_state(models)
    skeleton = workload.model(0)

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor]) -> Tensor:
        def net(inputs: Tensor) -> Tensor:
            outputs: Tensor = torch.func.functional_call(skeleton, (own, kept), (inputs,))
            return outputs

        return player.loss(net, batch, {})[0]

    losses = torch.func.vmap(loss)(params, buffers)
    torch.autograd.backward(losses.sum())
    for i, model in enumerate(models):
        # Other kernels (batched products, grouped convolutions) sum in another order: a few last bits of
        # float32, against gradients of size 0.01 to 1; and in a deep network what it is off by itself.
        torch.testing.assert_close(
            losses[i], player.loss(copy.deepcopy(model), batch, {})[0], rtol=1e-5, atol=1e-6
        )
        alone, exact = alone_and_exact(player, model, batch)
        for path, wanted, true in zip(player.params, alone, exact, strict=True):
            stacked = params[path].grad
            assert stacked is not None
            off = (wanted - true).abs().max().item()
            torch.testing.assert_close(stacked[i], wanted, rtol=1e-4, atol=1e-6 + 8 * off)


TORCH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classification": torch.nn.functional.cross_entropy,
    "regression": torch.nn.functional.mse_loss,
    "minimization": lambda outputs, targets: outputs.mean(),  # noqa: ARG005
}


@pytest.mark.parametrize("task", TORCH)
@pytest.mark.parametrize(("size", "width"), [(1, 1), (7, 3), (32, 10), (256, 129)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_losses_are_torchs_and_their_slope_is_autograds_to_the_bit(
    task: str, size: int, width: int, scale: float
) -> None:
    criteria = CRITERIA[task]
    generator = torch.Generator().manual_seed(size)
    outputs = (scale * torch.randn(4, size, width, generator=generator)).requires_grad_()
    classes = torch.randint(width, (4, size), generator=generator)
    targets = classes if task == "classification" else torch.randn(4, size, width, generator=generator)
    losses = criteria.loss(outputs, targets)
    (wanted,) = torch.autograd.grad(losses.sum(), outputs)
    with torch.no_grad():
        found, slope = criteria.slope(outputs, targets)
    assert torch.equal(slope, wanted)
    assert torch.equal(found, losses)
    for row in range(4):
        # A log-sum-exp of values of that scale, rounded some times: not relative to a loss that is near 0.
        expected = TORCH[task](outputs[row], targets[row])
        torch.testing.assert_close(losses[row], expected, rtol=1e-5, atol=1e-6 * scale)
