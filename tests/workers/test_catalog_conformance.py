"""Every entry of the catalog keeps what it says. A new entry is tested by being there."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import pytest
import torch
from torch.optim import Optimizer
from torch.utils._pytree import tree_flatten

from tests.builders.optimizers import scheduled
from whichopt.service.catalog.datasets import DATASETS, DatasetEntry
from whichopt.service.catalog.model_entry import SUPERVISED
from whichopt.service.catalog.models import MODELS, ModelEntry
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.catalog.tasks import TASKS
from whichopt.service.errors import InvalidSpec
from whichopt.service.space import Categorical, Config, Dimension, Value
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import optimizers
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload import Workload
from whichopt.workers.workload.data import LOADERS
from whichopt.workers.workload.models import BUILDERS
from whichopt.workers.workload.table import Table
from whichopt.workers.workload.tasks import CRITERIA

MakeWorkload = Callable[..., Workload]
OPENED = ("eps", "weight_decay", "momentum", "betas")
"""Arguments that every space opens where its class has them, so that nobody wins by having more to tune."""

CONV, OUT = {"type": "conv2d", "out": 3, "stride": 2}, {"type": "linear", "out": "outputs"}

every_optimizer = pytest.mark.parametrize("entry", OPTIMIZERS, ids=lambda entry: entry.name)
every_dataset = pytest.mark.parametrize("data", DATASETS, ids=lambda data: data.name)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def _ends(dimension: Dimension) -> tuple[Value, ...]:
    return dimension.choices if isinstance(dimension, Categorical) else (dimension.low, dimension.high)


def _corners(entry: OptimizerEntry) -> Iterator[Config]:
    """The default with one hyperparameter at a time moved to an end of its range."""
    for name, dimension in entry.space.items():
        for end in _ends(dimension):
            yield {**entry.default, name: end}


def _trained(workload: Workload, entry: OptimizerEntry, config: Config, steps: int) -> tuple[Optimizer, Any]:
    """The optimizer after `steps` on the whole training split, and the loss (steps,) before each."""
    model, train = workload.model(0), workload.splits(0).train
    optimizer = optimizers.build(entry.name, config, model.parameters())
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = workload.criteria.loss(model(train.inputs), train.targets)
        losses.append(loss.item())
        torch.autograd.backward(loss)
        optimizer.step()
    return optimizer, losses


def _model_for(data: DatasetEntry) -> str:
    """The first model that can be trained for the dataset's own task; of a text, with its defaults."""
    is_text = data.shape(data.options()).tokens is not None
    fitting = (model for model in MODELS if data.task in model.tasks)
    return next(model.name for model in fitting if not is_text or model.modules is None)


def _job(entry: OptimizerEntry, **choice: Any) -> JobSpec:
    workload = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
    job = {"workload": workload, "optimizers": [{"name": entry.name, **choice}]}
    return JobSpec.model_validate({**job, **scheduled(entry.name)})


@every_optimizer
def test_its_class_is_the_one_that_is_named(entry: OptimizerEntry) -> None:
    kind = optimizers.optimizer_class(entry.build.target)
    assert issubclass(kind, Optimizer)
    for compiled, faster in (
        (False, entry.stepping.faster),
        (True, {**entry.stepping.faster, **entry.stepping.compiled}),
    ):
        params = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,))]
        optimizer = optimizers.build(entry.name, entry.default, params, compiled=compiled)
        assert type(optimizer) is kind
        assert len(optimizer.param_groups) == (2 if entry.build.matrices else 1)
        kept = [value for group in optimizer.param_groups for key, value in group.items() if key != "params"]
        for argument, value in {**entry.arguments(entry.default), **entry.build.fixed, **faster}.items():
            (group, *others) = optimizer.param_groups
            assert value in kept if others else group[argument] == value


@every_optimizer
def test_its_default_is_whole(entry: OptimizerEntry) -> None:
    assert set(entry.default) == set(entry.space)
    for name, value in entry.default.items():
        assert entry.limits(name).contains(value)


@every_optimizer
def test_its_arguments_are_packed_as_torch_spells_them(entry: OptimizerEntry) -> None:
    arguments = entry.arguments(entry.default)
    assert next(iter(arguments)) == "lr"
    assert set(arguments) | set(entry.build.fixed) <= set(
        inspect.signature(optimizers.optimizer_class(entry.build.target)).parameters
    )
    for argument, scalars in entry.packed.items():
        assert arguments[argument] == tuple(entry.default[scalar] for scalar in scalars)
        assert not set(scalars) & set(arguments)


@every_optimizer
def test_it_opens_what_its_class_has(entry: OptimizerEntry) -> None:
    signature = inspect.signature(optimizers.optimizer_class(entry.build.target)).parameters
    for argument in OPENED:
        if argument in signature and argument not in entry.build.fixed:
            assert set(entry.packed.get(argument, (argument,))) <= set(entry.space)


@every_optimizer
def test_what_it_keeps_closed_of_these_does_nothing(entry: OptimizerEntry) -> None:
    kind = optimizers.optimizer_class(entry.build.target)
    for argument in set(OPENED) & set(entry.build.fixed):
        ends = []
        for value in (entry.build.fixed[argument], 0.5):
            param = torch.nn.Parameter(torch.linspace(-1, 1, 9))
            given: dict[str, Any] = {**entry.arguments(entry.default), **entry.build.fixed, argument: value}
            optimizer = kind([param], **given)
            for _ in range(3):
                param.grad = param.detach().square()
                optimizer.step()
            ends.append(param.detach())
        assert torch.equal(*ends)


@every_optimizer
def test_its_default_lowers_the_loss(entry: OptimizerEntry, make_workload: MakeWorkload) -> None:
    _, losses = _trained(make_workload(), entry, entry.default, 20)
    assert losses[-1] < losses[0]


@every_optimizer
def test_its_class_takes_every_end_of_its_space(entry: OptimizerEntry, make_workload: MakeWorkload) -> None:
    for config in _corners(entry):
        _, losses = _trained(make_workload(), entry, config, 3)
        # One step at the largest lr may well throw a linear model far, not to infinity.
        assert all(map(math.isfinite, losses)), config


@every_optimizer
def test_its_class_takes_all_that_a_user_may_set(entry: OptimizerEntry, make_workload: MakeWorkload) -> None:
    """At the limits, by pairs, a run may diverge; if the class refused them it would be our failure."""
    ends = {name: _ends(entry.limits(name)) for name in entry.space}
    for one, other in combinations(ends, 2):
        for values in product(ends[one], ends[other]):
            config = {**entry.default, one: values[0], other: values[1]}
            if any(config[switch] and not config[needed] for switch, needed in entry.needs.items()):
                with pytest.raises(InvalidSpec, match="needs"):
                    resolve(_job(entry, space=dict(config)))
                continue
            _trained(make_workload(), entry, config, 2)


@every_optimizer
def test_its_state_takes_the_bytes_it_says(entry: OptimizerEntry) -> None:
    """All that it keeps for a square matrix, but for single numbers."""

    def measured(config: Config) -> float:
        weight = torch.nn.Parameter(torch.eye(16))
        optimizer = optimizers.build(entry.name, config, [weight])
        for _ in range(2):
            weight.grad = torch.ones(16, 16)
            optimizer.step()
        leaves, _ = tree_flatten(optimizer.state[weight])
        kept = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.numel() > 1]
        return sum(leaf.nbytes for leaf in kept) / weight.numel()

    configs = [entry.default, *_corners(entry)]
    assert max(map(measured, configs)) == entry.state_bytes


@every_optimizer
def test_what_it_cannot_take_is_refused(entry: OptimizerEntry) -> None:
    for name in entry.space:
        limits = entry.limits(name)
        wrong: tuple[Value, ...] = ("much",)
        if not isinstance(limits, Categorical):
            wrong = ("much", limits.low - 1, limits.high + 1)
        for value in wrong:
            with pytest.raises(InvalidSpec) as refused:
                resolve(_job(entry, space={name: value}))
            assert refused.value.field == f"optimizers.0.space.{name}"
            assert refused.value.value == value
            with pytest.raises(InvalidSpec):
                resolve(_job(entry, default={name: value}))
    with pytest.raises(InvalidSpec, match="learning_rate"):
        resolve(_job(entry, space={"learning_rate": 0.1}))


@every_optimizer
def test_its_resolved_spec_resolves_to_itself(entry: OptimizerEntry) -> None:
    resolved = resolve(_job(entry))
    assert resolve(JobSpec.model_validate_json(resolved.model_dump_json())) == resolved
    (optimizer,) = resolved.optimizers
    assert optimizer.default.items() >= entry.default.items()


def test_everything_named_can_be_built() -> None:
    assert set(LOADERS) == {data.loader or data.name for data in DATASETS}
    assert set(BUILDERS) == {model.builder or model.name for model in MODELS if model.modules is None}
    assert set(CRITERIA) == {task.name for task in TASKS}


@every_dataset
def test_a_dataset_has_the_shape_it_says(data: DatasetEntry, make_workload: MakeWorkload) -> None:
    options = data.options()
    shape = data.shape(options)
    table = LOADERS[data.loader or data.name](options)
    if isinstance(table, Table):
        several = data.task == "regression" and shape.outputs > 1
        assert table.features.shape == (shape.examples, shape.features)
        assert table.labels.shape == (shape.examples, *([shape.outputs] if several else []))
    splits = make_workload(data.name, _model_for(data)).splits(1)
    assert Sizes(*map(len, (splits.train, splits.validation, splits.test))) == data.sizes(options)
    assert splits.train.inputs.shape[1] == shape.features
    # The windows of a text are tokens, with a byte or two each.
    kinds = (torch.float32,) if shape.tokens is None else (torch.uint8, torch.int16)
    assert splits.train.inputs.dtype in kinds
    if shape.image is not None:
        assert math.prod(shape.image) == shape.features


@every_dataset
@every_model
def test_a_workload_trains_and_is_measured(
    data: DatasetEntry,
    model: ModelEntry,
    make_workload: MakeWorkload,
    make_plan: Callable[..., TrialPlan],
    watch: Any,
) -> None:
    shape = data.shape(data.options())
    if data.task not in model.tasks:
        with pytest.raises(InvalidSpec, match=data.task):
            make_workload(data.name, model.name)
        return
    if shape.tokens is not None and model.modules is not None:
        with pytest.raises(InvalidSpec, match="embedding"):
            make_workload(data.name, model.name)
        return
    if model.needs_image and shape.image is None:
        with pytest.raises(InvalidSpec, match="image"):
            make_workload(data.name, model.name)
        return
    workload = make_workload(data.name, model.name, **model.small)
    params = sum(param.numel() for param in workload.model(0).parameters())
    assert params == model.params(model.options(**model.small), shape)
    if data.task in SUPERVISED:
        assert workload.model(0)(workload.splits(0).train.inputs[:3]).shape == (3, shape.outputs)
    (result,) = SoloExecutor().run(workload, [make_plan(phase=Phase.CONFIRM)], watch)
    assert result.state is TrialState.COMPLETE
    assert set(result.metrics) == {"train", "validation", "test"}
    assert result.reference is not None
    judged = (result.metrics["validation"], result.metrics["test"], result.reference)
    assert all(tuple(scores) == workload.goal.metrics for scores in judged)
    assert tuple(result.metrics["train"]) == workload.followed
    assert all(
        math.isfinite(value) for scores in (*judged, result.metrics["train"]) for value in scores.values()
    )


@pytest.mark.parametrize(
    "model",
    [model for model in MODELS if set(model.tasks) & set(SUPERVISED)],
    ids=lambda model: model.name,
)
def test_a_models_options_count(model: ModelEntry, make_workload: MakeWorkload) -> None:
    """The closed form holds away from the defaults as well."""
    variants: dict[str, list[dict[str, Any]]] = {
        "hidden": [{"hidden": [3]}, {"hidden": [5, 4, 3]}],
        "channels": [{"channels": [2]}, {"channels": [2, 3, 4, 5]}],
        "activation": [{"activation": "gelu"}, {"activation": "tanh"}],
        "width": [{"width": 0.0625}, {"width": 0.21}],
        "layers": [{"layers": [OUT]}, {"layers": ["unflatten", CONV, "flatten", OUT]}],
    }
    data = next(data for data in DATASETS if data.shape(data.options()).image)
    for options in (variant for field in model.options.model_fields for variant in variants[field]):
        network = make_workload(data.name, model.name, **options).model(0)
        params = sum(param.numel() for param in network.parameters())
        assert params == model.params(model.options(**options), data.shape(data.options()))
