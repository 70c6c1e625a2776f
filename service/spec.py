"""The job spec: what a user asks for (JobSpec), and that with every default written out (ResolvedSpec)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from service.budget import Budget, Settled, check
from service.catalog import datasets, models, optimizers, tasks
from service.configs import each_once, room
from service.errors import InvalidSpec, UnknownName
from service.numeric import REAL, NumbersAreNumbers
from service.space import Categorical, Config, Dimension, Float, Int, Space, Value
from service.trials import Schedule, Training

MAX_PARAMS = 10_000_000

DEFAULT_OPTIMIZERS = ("adabelief", "adamw", "adam", "sgd", "radam", "nadam")
OptionsT = TypeVar("OptionsT", bound=BaseModel)
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""No control characters: PostgreSQL keeps no NUL, and names go into headers and file names."""


class _Strict(NumbersAreNumbers):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Named(BaseModel):
    """A catalog entry by name, with that entry's own options beside it."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str = Field(max_length=64)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _by_name(value: Any) -> Any:
    """A name alone stands for the entry with its defaults."""
    return {"name": value} if isinstance(value, str) else value


ByName = Annotated[Named, BeforeValidator(_by_name)]


class WorkloadSpec(_Strict):
    """Task, model and dataset. The task may be left out: it is the dataset's."""

    task: str | None = Field(default=None, max_length=64)
    dataset: ByName
    model: ByName


SpaceEntry = Dimension | bool | int | float | str
"""A range to search, or one value that fixes the hyperparameter."""


class OptimizerChoice(_Strict):
    """One optimizer of a job. `space` overrides the catalog's, entry by entry."""

    name: str = Field(max_length=64)
    label: str | None = Field(default=None, pattern=LABEL)
    space: dict[str, SpaceEntry] = Field(default_factory=dict, max_length=32)
    default: dict[str, Value] = Field(
        default_factory=dict, max_length=32, description="overrides the first trial's setting, entry by entry"
    )

    @model_validator(mode="before")
    @classmethod
    def _unpack(cls, data: Any) -> Any:
        """Reads torch's own tuples, as recommendations show them: `betas` for `beta1` and `beta2`."""
        known = {entry.name: entry for entry in optimizers.OPTIMIZERS}
        entry = known.get(str(data.get("name"))) if isinstance(data, dict) else None
        if entry is None:
            return data
        read = {part: entry.unpacked(data[part]) for part in ("space", "default") if part in data}
        return {**data, **read}


class Margin(_Strict):
    """The least difference that matters: in the metric's units, or in percent of the best one's value."""

    absolute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    percent: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> Margin:
        if (self.absolute is None) == (self.percent is None):
            raise ValueError("a margin is either {'absolute': x} or {'percent': x}")
        return self

    def __str__(self) -> str:
        return f"{self.absolute:g}" if self.percent is None else f"{self.percent:g} %"


class Pruning(_Strict):
    """A trial is stopped at a rung (share of the budget) where it is among the `worst` share of its study."""

    rungs: tuple[Annotated[float, Field(gt=0, lt=1), REAL], ...] = Field(default=(0.25, 0.5), max_length=8)
    worst: float = Field(default=0.25, ge=0, le=0.9)


class _Common(_Strict):
    name: str | None = Field(default=None, max_length=200, pattern=PRINTABLE)
    budget: Budget = Budget()
    batch_size: int = Field(default=64, ge=1, le=65536)
    schedule: Annotated[Schedule, BeforeValidator(_by_name)] = Schedule(name="cosine", warmup=0.05)
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    pruning: Pruning = Pruning()
    margin: Margin | None = Field(
        default=None, description="smaller differences count as none: a rival is beaten by more than this"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    executor: Literal["auto", "solo", "stacked"] = "auto"
    kernels: Literal["auto", "torch", "compiled"] = Field(
        default="auto",
        description="what optimizers that have a compiled kernel of their own step by; settled before the "
        "first round: compiled, on CPUs, where the kernel is there already or the job is long enough to pay "
        "for it",
    )
    agreement: Literal["auto", "bits", "close"] = Field(
        default="auto",
        description="whether a trial's result may depend on what trains beside it: `bits`, not at all; "
        "`close`, in its last bits. For `auto` and `bits` alike a probe on the live workers decides before "
        "the first round; `close` stays",
    )
    seed: int = Field(default=0, ge=0, lt=2**53)


class JobSpec(_Common):
    """What a user sends; only `workload` is required, and unknown keys are refused."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "digits",
                    "workload": {
                        "dataset": {"name": "digits"},
                        "model": {"name": "mlp", "hidden": [128, 64]},
                    },
                    "optimizers": ["adabelief", "adamw", "sgd"],
                    "budget": {"trials": 24, "replicates": 3, "epochs": 10, "confirm_seeds": 5},
                }
            ]
        }
    )

    workload: WorkloadSpec
    optimizers: list[Annotated[OptimizerChoice, BeforeValidator(_by_name)]] = Field(
        default_factory=lambda: [OptimizerChoice(name=name) for name in DEFAULT_OPTIMIZERS],
        min_length=1,
        max_length=16,
    )


class ResolvedWorkload(_Strict):
    task: str
    dataset: Named
    model: Named


class ResolvedOptimizer(_Strict):
    """`space` is whole; `default` is the first trial's setting, written out in full."""

    name: str
    label: str
    space: dict[str, SpaceEntry]
    default: Config

    @property
    def searched(self) -> Space:
        """The hyperparameters that are searched; the others are fixed to their value in `default`."""
        return {n: entry for n, entry in self.space.items() if isinstance(entry, Float | Int | Categorical)}


class ResolvedSpec(_Common):
    """A job spec with every default written out; itself a valid JobSpec that resolves to itself."""

    workload: ResolvedWorkload
    optimizers: tuple[ResolvedOptimizer, ...]

    @property
    def training(self) -> Training:
        return Training(
            batch_size=self.batch_size,
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            compiled=self.kernels == "compiled",
        )

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(optimizer.label for optimizer in self.optimizers)

    @property
    def sizes(self) -> datasets.Sizes:
        """Examples in each split of the job's dataset."""
        entry = datasets.dataset(self.workload.dataset.name)
        return entry.sizes(entry.options(**self.workload.dataset.options))

    @property
    def steps(self) -> int:
        """Steps of a trial that is not stopped early."""
        return -(-self.sizes.train * self.budget.epochs // self.batch_size)

    def optimizer(self, label: str) -> ResolvedOptimizer:
        return next(optimizer for optimizer in self.optimizers if optimizer.label == label)

    def study_trials_of(self, label: str) -> int:
        """Search trials of a study of that label: as many as its budget has, or as its space has configs."""
        chosen = self.optimizer(label)
        asked = (self.budget.trials_of(label) or 0) // self.budget.replicates
        return min(asked, room(chosen.searched, chosen.default))

    def trials_of(self, label: str) -> int:
        """Search trials of that label; 0 for minutes that are not settled."""
        return self.budget.replicates * self.study_trials_of(label)

    @property
    def asked_trials(self) -> int:
        """Search trials of all labels; 0 for minutes that are not settled."""
        return sum(map(self.trials_of, self.labels))

    def settle(self, settled: Settled, *, confirm_seeds: int) -> ResolvedSpec:
        """The spec with what its minutes came to, and the most fresh seeds that there is time for."""
        budget = self.budget.model_copy(update={"settled": settled, "confirm_seeds": confirm_seeds})
        return self.model_copy(update={"budget": budget})


def resolve(spec: JobSpec) -> ResolvedSpec:
    """`spec` with every default written out.

    Raises:
        InvalidSpec: something is unknown or out of bounds; the error names the field, its value, what is
            allowed and the nearest match.
    """
    workload = _workload(spec)
    chosen = tuple(resolve_optimizer(choice, f"optimizers.{i}") for i, choice in enumerate(spec.optimizers))
    labels = [optimizer.label for optimizer in chosen]
    for i, label in enumerate(labels):
        if label in labels[:i]:
            raise InvalidSpec(
                f"two optimizers are labeled {label!r}; give one of them another 'label'",
                field=f"optimizers.{i}.label",
                value=label,
            )
    check(spec.budget, labels)
    common = {name: getattr(spec, name) for name in _Common.model_fields}
    resolved = ResolvedSpec(**common, workload=workload, optimizers=chosen)
    if spec.batch_size > resolved.sizes.train:
        raise InvalidSpec(
            f"batch_size {spec.batch_size} exceeds the {resolved.sizes.train} examples of the training split",
            field="batch_size",
            value=spec.batch_size,
            allowed=f"1 to {resolved.sizes.train}",
        )
    return resolved


def _workload(spec: JobSpec) -> ResolvedWorkload:
    wanted = spec.workload
    data = datasets.dataset(wanted.dataset.name, field="workload.dataset.name")
    model = models.model(wanted.model.name, field="workload.model.name")
    name = tasks.task(wanted.task or data.task, field="workload.task").name
    if name != data.task:
        raise InvalidSpec(
            f"dataset {data.name!r} is for {data.task}, not {name}",
            field="workload.task",
            value=name,
            allowed=[data.task],
        )
    data_options = _options(data.options, wanted.dataset.options, "workload.dataset")
    model_options = _options(model.options, wanted.model.options, "workload.model")
    shape = data.shape(data_options)
    if model.needs_image and shape.image is None:
        images = [
            entry.name
            for entry in datasets.DATASETS
            if entry.shape(entry.options()).image and entry.task == name
        ]
        raise InvalidSpec(
            f"model {model.name!r} needs images, and dataset {data.name!r} has none",
            field="workload.model.name",
            value=model.name,
            allowed=images,
        )
    params = model.params(model_options, shape)
    if params > MAX_PARAMS:
        raise InvalidSpec(
            f"the model has {params:,} params; at most {MAX_PARAMS:,} are allowed",
            field="workload.model",
            value=params,
            allowed=MAX_PARAMS,
        )
    return ResolvedWorkload(
        task=name,
        dataset=Named(name=data.name, **data_options.model_dump(mode="json")),
        model=Named(name=model.name, **model_options.model_dump(mode="json")),
    )


def _options(kind: type[OptionsT], options: dict[str, Any], field: str) -> OptionsT:
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in (field, *first["loc"]))
        if first["type"] == "extra_forbidden":
            raise UnknownName.of("option", str(first["loc"][-1]), kind.model_fields, field=path) from None
        raise InvalidSpec(f"{path}: {first['msg']}", field=path, value=first.get("input")) from None


def resolve_optimizer(choice: OptimizerChoice, field: str) -> ResolvedOptimizer:
    """`choice` with its space and its default written out; `field` is where it stands.

    Raises:
        InvalidSpec: something is unknown or out of bounds.
    """
    entry = optimizers.optimizer(choice.name, field=f"{field}.name")
    for part, given in (("space", choice.space), ("default", choice.default)):
        for name in given:
            if name not in entry.space:
                raise UnknownName.of(
                    f"{entry.name} hyperparameter", name, entry.space, field=f"{field}.{part}"
                )
    space: dict[str, SpaceEntry] = {**entry.space, **choice.space}
    default: Config = {}
    for name, allowed in space.items():
        if not isinstance(allowed, Float | Int | Categorical):
            default[name] = space[name] = _legal(entry, name, allowed, f"{field}.space.{name}")
            continue
        become = [_legal(entry, name, end, f"{field}.space.{name}") for end in _ends(allowed)]
        if isinstance(allowed, Categorical):
            each_once(f"{entry.name}: {name}", allowed, become, field=f"{field}.space.{name}.choices")
        if name in choice.default:
            default[name] = _legal(entry, name, choice.default[name], f"{field}.default.{name}")
        else:
            # The catalog's zero-shot setting may lie outside its own range (a decay of 0 on a log scale),
            # but a range that the user has set holds for the first trial as well.
            default[name] = (
                allowed.nearest(entry.default[name]) if name in choice.space else entry.default[name]
            )
    for switch, needed in entry.needs.items():
        if space[needed] == 0 and switch not in choice.space:
            space[switch] = default[switch] = False  # plain SGD was asked for, and nothing said of Nesterov
    _switches(entry, space, field)
    return ResolvedOptimizer(name=entry.name, label=choice.label or entry.name, space=space, default=default)


def _switches(entry: optimizers.OptimizerEntry, space: dict[str, SpaceEntry], field: str) -> None:
    """Raises InvalidSpec where a switch could be on while what it needs is 0."""
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


def _legal(entry: optimizers.OptimizerEntry, name: str, value: Value, field: str) -> Value:
    """`value` as the optimizer's class takes it.

    Raises:
        InvalidSpec: the hyperparameter cannot have it.
    """
    limits = entry.limits(name)
    if not limits.contains(value):
        raise InvalidSpec(
            f"{entry.name}: {name} cannot be {value!r}; allowed: {limits.allowed()}",
            field=field,
            value=value,
            allowed=limits.allowed(),
        )
    return float(value) if isinstance(limits, Float) else value
