"""The job spec as a user writes it (JobSpec); `resolve` writes out every default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from whichopt.service.catalog.networks import LayersOptions
from whichopt.service.described import without_example
from whichopt.service.numeric import REAL, NumbersAreNumbers
from whichopt.service.space import Dimension, Value
from whichopt.service.spec.budget import Budget
from whichopt.service.trials import Schedule

DEFAULT_OPTIMIZERS = ("adabelief", "adamw", "adam", "sgd", "radam", "nadam")
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
ExecutorName = Literal["solo", "stacked"]
FACTS = ("shape", "sizes", "length_unit", "content", "upload")
"""Fields of a resolved workload that follow from its names."""
OPTIMIZER_FACTS = ("facts", "place")
"""Fields of a resolved optimizer that follow from its name."""
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""Pattern without control characters: PostgreSQL stores no NUL, and names go into headers and file names."""

EXAMPLE = {
    "name": "digits",
    "workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [128, 64]}},
    "optimizers": ["adabelief", "adamw", "sgd"],
    "budget": {"trials": 24, "replicates": 3, "epochs": 10, "confirm_seeds": 5},
}
"""The job that the API's description shows."""


class Strict(NumbersAreNumbers):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Named(BaseModel):
    """A catalog entry by its name, with the entry's own options beside it."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str = Field(max_length=64)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def by_name(value: Any) -> Any:
    """Turn a name alone into the entry with its defaults."""
    return {"name": value} if isinstance(value, str) else value


def _without(names: Sequence[str], data: Any) -> Any:
    """Return the fields as they were sent, but for those of that name."""
    return (
        {name: value for name, value in data.items() if name not in names} if isinstance(data, dict) else data
    )


ByName = Annotated[Named, BeforeValidator(by_name)]


class LayersModel(LayersOptions):
    """A model that is described by its layers."""

    name: Literal["layers"]


class _OrLayers:
    """Shows in a JSON schema that a model may also be described by its layers."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(LayersModel.__pydantic_core_schema__), handler(schema)]}


class WorkloadSpec(Strict):
    """The task, model and dataset of a job. The task may be omitted; it is the dataset's."""

    task: ByName | None = Field(
        default=None, description="Task by its name, or with its options beside the name."
    )
    dataset: ByName
    model: Annotated[ByName, _OrLayers]
    metric: str | None = Field(
        default=None,
        max_length=64,
        description="Metric of the task that configs are selected, judged and compared by; the others stand "
        "beside it. Null is the task's first: `nll` or `rmse`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_asked(cls, data: Any) -> Any:
        """Turn a resolved workload into the request for it: its facts follow anew from what was asked."""
        if not isinstance(data, dict):
            return data
        asked = dict(_without(FACTS, data))
        goal = asked.pop("goal", None)
        if isinstance(goal, dict) and goal.get("metrics"):
            asked.setdefault("metric", goal["metrics"][0])
        if asked.get("class_weight", "") is None:
            del asked["class_weight"]
        elif "class_weight" in asked and isinstance(asked.get("task"), str):
            asked["task"] = {"name": asked["task"], "class_weight": asked.pop("class_weight")}
        return asked


SpaceEntry = Dimension | bool | int | float | str
"""A range to search, or one value that fixes the hyperparameter."""


class OptimizerChoice(Strict):
    """One optimizer of a job. `space` overrides the catalog's, entry by entry.

    Tuples may be given as torch takes them: `betas` for `beta1` and `beta2`, as in recommendations.
    """

    name: str = Field(max_length=64)
    label: str | None = Field(default=None, pattern=LABEL)
    space: dict[str, SpaceEntry | tuple[SpaceEntry, ...]] = Field(default_factory=dict, max_length=32)
    default: dict[str, Value | tuple[Value, ...]] = Field(
        default_factory=dict,
        max_length=32,
        description="Values of the first trial that replace the catalog's, entry by entry.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_facts(cls, data: Any) -> Any:
        """Leave out the facts of a resolved spec: a job that is sent again gets them anew."""
        return _without(OPTIMIZER_FACTS, data)


class Margin(Strict):
    """The least difference that matters: in the metric's units, or in percent of the best one's value."""

    absolute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    percent: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> Margin:
        if (self.absolute is None) == (self.percent is None):
            raise ValueError("a margin must be either {'absolute': x} or {'percent': x}")
        return self

    def __str__(self) -> str:
        return f"{self.absolute:g}" if self.percent is None else f"{self.percent:g}%"


class Pruning(Strict):
    """The rule for early stops: at each rung (share of the budget), the `worst` share of a study stops."""

    rungs: tuple[Annotated[float, Field(gt=0, lt=1), REAL], ...] = Field(default=(0.25, 0.5), max_length=8)
    worst: float = Field(default=0.25, ge=0, le=0.9)


class Common(Strict):
    name: str | None = Field(default=None, max_length=200, pattern=PRINTABLE)
    budget: Budget = Budget()
    batch_size: int = Field(default=64, ge=1, le=65536)
    schedule: Annotated[Schedule, BeforeValidator(by_name)] = Schedule(name="cosine", warmup=0.05)
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    pruning: Pruning = Pruning()
    margin: Margin | None = Field(
        default=None,
        description="Least difference that matters; a rival counts as beaten only by more than this.",
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    executor: Literal["auto", "solo", "stacked"] = Field(
        default="auto",
        description="Way in which trials are trained: `solo` (one after the other) or `stacked` (a whole "
        "cohort at once). `auto` is decided before the first round, label by label: `solo` if its model or "
        "optimizer cannot be stacked, and otherwise the faster one in a short probe.",
    )
    executors: dict[str, ExecutorName] | None = Field(
        default=None,
        max_length=16,
        description="Executor of each label's trials. The service writes it before the first round; send it "
        "to repeat a job.",
    )
    kernels: Literal["auto", "torch", "compiled"] = Field(
        default="auto",
        description="Kernels of the optimizers that have a compiled one. `auto` is decided before the first "
        "round: `compiled` on CPUs, if the kernel is already cached or the job is long enough to repay its "
        "compilation; otherwise `torch`.",
    )
    agreement: Literal["auto", "bits", "close"] = Field(
        default="auto",
        description="Agreement of a trial's result with that of the same trial "
        "in other company: `bits` (to the "
        "bit) or `close` (but for the last bits). For `auto` and `bits`, a probe on the live workers decides "
        "before the first round; `close` stays.",
    )
    seed: int = Field(default=0, ge=0, lt=2**53)


def _described(schema: dict[str, Any]) -> None:
    without_example(schema)
    schema["examples"] = [EXAMPLE]


class JobSpec(Common):
    """A job as a user sends it; only `workload` is required, and unknown keys are rejected.

    Raises:
        ValidationError: a key is unknown, or a value is out of its bounds. What only a catalog can tell is
            checked by `resolve`, and by the service.

    Example:
        >>> from whichopt import JobSpec
        >>> job = {"workload": {"dataset": "wine", "model": "linear"}, "budget": {"trials": 12}}
        >>> spec = JobSpec.model_validate(job)
        >>> spec.budget.trials, spec.optimizers[0].name
        (12, 'adabelief')
    """

    model_config = ConfigDict(json_schema_extra=_described)

    @model_validator(mode="before")
    @classmethod
    def _without_decisions(cls, data: Any) -> Any:
        """Leave out what was decided for a resolved spec: a job that is sent again has it decided anew."""
        return _without(("rules", "only_solo"), data)

    workload: WorkloadSpec
    optimizers: list[Annotated[OptimizerChoice, BeforeValidator(by_name)]] = Field(
        default_factory=lambda: [OptimizerChoice(name=name) for name in DEFAULT_OPTIMIZERS],
        min_length=1,
        max_length=16,
    )
