"""Completes a job spec: finds names in the catalog, writes out defaults, checks bounds."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.batches import grows
from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.catalog.dataset_entry import DatasetOptions
from whichopt.service.catalog.fits import shape_for
from whichopt.service.catalog.label_noise import LabelNoiseOptions
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.tasks import ClassificationOptions
from whichopt.service.configs import each_once
from whichopt.service.errors import InvalidSpec
from whichopt.service.limits import Limits
from whichopt.service.space import Categorical, Config, Dimension, Float, Int, Value
from whichopt.service.spec import batching
from whichopt.service.spec.augment import resolved_augment
from whichopt.service.spec.batch_checks import check_batches
from whichopt.service.spec.budget import check
from whichopt.service.spec.executors import check_executors
from whichopt.service.spec.guests import FIXED, check_keys
from whichopt.service.spec.hyperparameters import legal, scalars
from whichopt.service.spec.options import read_options
from whichopt.service.spec.request import Common, JobSpec, OptimizerChoice, SpaceEntry
from whichopt.service.spec.resolve_today import resolve_today
from whichopt.service.spec.resolved import ResolvedOptimizer, ResolvedSpec
from whichopt.service.spec.today import TODAY
from whichopt.service.spec.workloads import (
    FunctionWorkload,
    Named,
    ResolvedFunction,
    ResolvedWorkload,
    WorkloadSpec,
)
from whichopt.service.versions import RULES

OWN_SCHEDULE: Mapping[str, Value] = {"schedule": "constant", "warmup": 0.0}
"""What is left of the job's schedule to an optimizer that brings one of its own."""


def resolve(spec: JobSpec, catalog: Catalog | None = None, limits: Limits | None = None) -> ResolvedSpec:
    """Return `spec` with every default written out.

    Args:
        spec: the job as its user wrote it.
        catalog: the optimizers, models, datasets and tasks that it may name; None for the built-in ones.
        limits: the size that its model may have; None for those of a service without settings.

    Returns:
        The complete spec. It holds all that planning and evidence need, and resolves to itself.

    Raises:
        InvalidSpec: something is unknown or out of bounds. The error names the field, its value, the allowed
            values and the nearest match.

    Example:
        >>> from whichopt.service.spec import JobSpec, resolve
        >>> job = {"workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}}}
        >>> spec = resolve(JobSpec.model_validate({**job, "optimizers": ["sgd"]}))
        >>> spec.workload.task, spec.labels, spec.batch_size
        ('classification', ('sgd',), 64)
        >>> resolve(JobSpec.model_validate({**job, "optimizers": ["adamm"]}))
        Traceback (most recent call last):
            ...
        whichopt.service.errors.UnknownName: there is no optimizer 'adamm'; did you mean 'adam'?
    """
    known = built_in() if catalog is None else catalog
    asked = spec.workload
    workload = (
        _function(spec, asked)
        if isinstance(asked, FunctionWorkload)
        else _workload(asked, known, Limits() if limits is None else limits)
    )
    shared = None
    if isinstance(workload, ResolvedWorkload):
        shared = batching.Shared(spec.batch_size, spec.schedule, workload.sizes.train)
    chosen = tuple(
        resolve_optimizer(choice, f"optimizers.{i}", known, shared)
        for i, choice in enumerate(spec.optimizers)
    )
    labels = [optimizer.label for optimizer in chosen]
    for i, label in enumerate(labels):
        if label in labels[:i]:
            raise InvalidSpec(
                f"two optimizers have the label {label!r}; give one of them another 'label'",
                field=f"optimizers.{i}.label",
                value=label,
            )
    for i, optimizer in enumerate(chosen):
        _capabilities(spec, optimizer, "optimizers", f"optimizers.{i}.space")
    today = None if spec.today is None else resolve_today(spec.today, known, labels, shared)
    if today is not None:
        _capabilities(spec, today.optimizer, "today.name", "today.config")
    trained = labels if today is None else [*labels, TODAY]
    check(spec.budget, labels, today=today is not None)
    common = {name: getattr(spec, name) for name in Common.model_fields}
    if workload.fixed_executor is not None:
        common |= {**FIXED, "executors": spec.executors or dict.fromkeys(trained, workload.fixed_executor)}
    resolved = ResolvedSpec(**common, workload=workload, optimizers=chosen, today=today, rules=RULES)
    check_executors(resolved, known)
    if workload.fixed_executor is not None:
        return resolved
    check_batches(resolved, known, Limits() if limits is None else limits)
    return resolved


def _capabilities(spec: JobSpec, optimizer: ResolvedOptimizer, field: str, settings: str) -> None:
    """Raise InvalidSpec if the job asks for something that the optimizer cannot do.

    Args:
        spec: what was asked for.
        optimizer: one of its optimizers, or that of today.
        field: the path of its name, for errors.
        settings: the path of its hyperparameters, for errors.
    """
    if optimizer.facts.needs_closure and not isinstance(spec.workload, FunctionWorkload):
        raise InvalidSpec(
            f"each step of {optimizer.label} calls a closure, which only a training function of your own can "
            f"pass; leave {optimizer.label} out",
            field=field,
            value=optimizer.name,
        )
    training = optimizer.facts.of_training(optimizer.space)
    if optimizer.facts.own_schedule:
        _own_schedule(spec, optimizer, training, settings)
    if grows(training) and isinstance(spec.workload, FunctionWorkload):
        raise InvalidSpec(
            f"the batches of {optimizer.label} grow, but a training function of your own makes its own "
            f"batches; leave {optimizer.label} out",
            field=field,
            value=optimizer.name,
        )


def _own_schedule(
    spec: JobSpec, optimizer: ResolvedOptimizer, training: Mapping[str, Dimension | Value], settings: str
) -> None:
    """Raise InvalidSpec if another schedule is asked for than that which the optimizer brings."""
    label = optimizer.name if optimizer.label == TODAY else optimizer.label
    if isinstance(spec.workload, FunctionWorkload) and (
        spec.schedule.name != "constant" or spec.schedule.warmup > 0
    ):
        raise InvalidSpec(
            f"{label} brings its own schedule of the learning rate; set the job's to constant without "
            f"warmup, or leave {label} out",
            field="schedule",
            value=spec.schedule.name,
            allowed=["constant"],
        )
    for name, only in OWN_SCHEDULE.items():
        given = training.get(name, only)
        if given != only:
            raise InvalidSpec(
                f"{label} brings its own schedule of the learning rate, and takes no other; leave {name} out",
                field=f"{settings}.{name}",
                value=given.model_dump() if isinstance(given, Float | Int | Categorical) else given,
                allowed=only,
            )


def _function(spec: JobSpec, wanted: FunctionWorkload) -> ResolvedFunction:
    """Return the function as a workload; nobody has looked at it yet."""
    check_keys(spec.model_fields_set, dict(spec))
    return ResolvedFunction(
        function=wanted.function, goal=wanted.goal, baseline=wanted.baseline, version=wanted.version
    )


def _workload(wanted: WorkloadSpec, catalog: Catalog, limits: Limits) -> ResolvedWorkload:
    data = catalog.dataset(wanted.dataset.name, field="workload.dataset.name")
    model = catalog.model(wanted.model.name, field="workload.model.name")
    asked = wanted.task or Named(name=data.task)
    task = catalog.task(asked.name, field="workload.task")
    name = task.name
    if name not in data.tasks:
        raise InvalidSpec(
            f"dataset {data.name!r} is for {' or '.join(data.tasks)}, not {name}",
            field="workload.task",
            value=name,
            allowed=list(data.tasks),
        )
    if name not in model.tasks:
        fitting = [entry.name for entry in catalog.models if name in entry.tasks]
        raise InvalidSpec(
            f"model {model.name!r} is for {' or '.join(model.tasks)}, and the task is {name}; "
            f"the models for it are {', '.join(fitting)}",
            field="workload.model.name",
            value=model.name,
            allowed=fitting,
        )
    task_options = read_options(task.options, asked.options, "workload.task")
    data_options = read_options(data.options, wanted.dataset.options, "workload.dataset")
    model_options = read_options(model.options, wanted.model.options, "workload.model")
    _check_label_noise(data_options, name)
    shape = shape_for(task, data.shape(data_options))
    if model.needs_image and shape.image is None:
        images = [
            entry.name
            for entry in catalog.datasets
            if entry.shape(entry.options()).image and name in entry.tasks
        ]
        raise InvalidSpec(
            f"model {model.name!r} needs images, but dataset {data.name!r} has none",
            field="workload.model.name",
            value=model.name,
            allowed=images,
        )
    _check_size(model, model_options, shape, limits)
    return ResolvedWorkload(
        task=name,
        goal=task.goal_by(wanted.metric, field="workload.metric"),
        class_weight=task_options.class_weight if isinstance(task_options, ClassificationOptions) else None,
        augment=resolved_augment(wanted.augment, shape, data),
        shape=shape,
        sizes=data.sizes(data_options),
        content=data.content,
        upload=data.upload,
        dataset_origin=data.origin,
        model_origin=model.origin,
        dataset=Named(name=data.name, **data_options.model_dump(mode="json")),
        model=Named(name=model.name, **model_options.model_dump(mode="json")),
    )


def _check_label_noise(options: DatasetOptions, task: str) -> None:
    """Raise InvalidSpec if labels are to be wrong that the task does not learn."""
    if isinstance(options, LabelNoiseOptions) and options.label_noise and task != "classification":
        raise InvalidSpec(
            f"label_noise is {options.label_noise:g}, but the task {task} learns no labels; leave it out, or "
            "set the task to classification",
            field="workload.dataset.label_noise",
            value=options.label_noise,
            allowed=[0],
        )


def _check_size(model: ModelEntry, options: ModelOptions, shape: Shape, limits: Limits) -> None:
    """Raise InvalidSpec if the model is larger than the limits allow."""
    params = model.params(options, shape)
    if params > limits.params:
        raise InvalidSpec(
            f"the model has {params:,} params; at most {limits.params:,} are allowed "
            "(the service's WHICHOPT_MAX_PARAMS)",
            field="workload.model",
            value=params,
            allowed=limits.params,
        )


def resolve_optimizer(
    choice: OptimizerChoice,
    field: str,
    catalog: Catalog | None = None,
    shared: batching.Shared | None = None,
) -> ResolvedOptimizer:
    """Return `choice` with its space and default written out.

    Args:
        choice: the optimizer as a job asks for it.
        field: its path in the spec.
        catalog: the optimizers that it may name; None for the built-in ones.
        shared: what the job sets for all labels; without it, the space cannot open the batch size or the
            schedule.

    Raises:
        InvalidSpec: something is unknown or out of bounds.
    """
    known = built_in() if catalog is None else catalog
    entry = known.optimizer(choice.name, field=f"{field}.name")
    ranges = scalars(entry, choice.space, f"{field}.space")
    setting = scalars(entry, choice.default, f"{field}.default")
    training = batching.usual(entry.facts, ranges, shared, f"{field}.space")
    for name in setting:
        if name not in entry.space and name not in training:
            raise InvalidSpec(
                f"{entry.name}: default has {name}, which the space does not open; give the space a value or "
                "a range of it",
                field=f"{field}.default.{name}",
                value=setting[name],
                allowed=f"a {name} in space as well",
            )
    usual = {**training, **entry.default}
    added = {name: value for name, value in training.items() if name not in entry.space}
    space: dict[str, SpaceEntry] = {**entry.space, **added, **ranges}
    default: Config = {}
    for name, allowed in space.items():
        if not isinstance(allowed, Float | Int | Categorical):
            default[name] = space[name] = legal(entry, name, allowed, f"{field}.space.{name}")
            continue
        if isinstance(allowed, Float) and isinstance(entry.limits(name), Int):
            raise InvalidSpec(
                f"{entry.name}: {name} is a whole number, and this range has others; give it the type int",
                field=f"{field}.space.{name}.type",
                value=allowed.type,
                allowed=["int", "categorical"],
            )
        become = [legal(entry, name, end, f"{field}.space.{name}") for end in _ends(allowed)]
        if isinstance(allowed, Categorical):
            each_once(f"{entry.name}: {name}", allowed, become, field=f"{field}.space.{name}.choices")
            # A choice of 2 is the 2.0 that a number becomes: the default would not be found among them else.
            allowed = space[name] = Categorical(choices=tuple(become))
        if name in setting:
            default[name] = legal(entry, name, setting[name], f"{field}.default.{name}")
        else:
            # The catalog's zero-shot setting may lie outside its own range (a decay of 0 on a log scale),
            # but a range that the user has set holds for the first trial as well.
            default[name] = allowed.nearest(usual[name]) if name in ranges else usual[name]
    for switch, needed in entry.needs.items():
        if space[needed] == 0 and switch not in ranges:
            space[switch] = default[switch] = False  # the user wants plain SGD and did not mention Nesterov
    _switches(entry, space, field)
    return ResolvedOptimizer(
        name=entry.name,
        label=choice.label or entry.name,
        space=space,
        default=default,
        facts=entry.facts,
        place=known.optimizers.index(entry),
        origin=entry.origin,
    )


def _switches(entry: OptimizerEntry, space: dict[str, SpaceEntry], field: str) -> None:
    """Raise InvalidSpec if a switch could be on while the value that it needs is 0."""
    for switch, needed in entry.needs.items():
        can_be_on = space[switch] is not False
        of = space[needed]
        least = min(_ends(of)) if isinstance(of, Float | Int | Categorical) else of
        if can_be_on and least == 0:
            raise InvalidSpec(
                f"{entry.name}: {switch} needs {needed} above 0; "
                f"fix {switch} to false, or keep {needed} above 0",
                field=f"{field}.space.{switch}",
                value=True,
                allowed=[False],
            )


def _ends(dimension: Dimension) -> tuple[Value, ...]:
    return dimension.choices if isinstance(dimension, Categorical) else (dimension.low, dimension.high)
