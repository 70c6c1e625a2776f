"""The job spec as a user writes it (JobSpec); `resolve` writes out every default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from whichopt.service.described import without_example
from whichopt.service.numeric import REAL
from whichopt.service.space import Dimension, Value
from whichopt.service.spec.batching import spread_out
from whichopt.service.spec.budget import Budget
from whichopt.service.spec.guests import check_as_sent
from whichopt.service.spec.today import TodaysConfig
from whichopt.service.spec.workloads import PRINTABLE, AskedWorkload, Strict, by_name, without
from whichopt.service.trials import Schedule

DEFAULT_OPTIMIZERS = ("adabelief", "adamw", "adam", "sgd", "radam", "nadam")
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
ExecutorName = Literal["solo", "stacked", "guest"]
OPTIMIZER_FACTS = ("facts", "place", "origin")
"""Fields of a resolved optimizer that follow from its name."""
EXAMPLE = {
    "name": "digits",
    "workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [128, 64]}},
    "optimizers": ["adabelief", "adamw", "sgd"],
    "budget": {"trials": 24, "replicates": 3, "epochs": 10, "confirm_seeds": 5},
}
"""The job that the API's description shows."""


SpaceEntry = Dimension | bool | int | float | str
"""A range to search, or one value that fixes the hyperparameter."""


class OptimizerChoice(Strict):
    """One optimizer of a job. `space` overrides the catalog's, entry by entry.

    Tuples may be given as torch takes them: `betas` for `beta1` and `beta2`, as in recommendations. The
    space may also open `batch_size`, `schedule` and `warmup`, which are the job's otherwise. A batch size of
    `{"adaptive": "norm", "eta": 0.5}` grows while the trial is trained.
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
        return without(OPTIMIZER_FACTS, data)

    @field_validator("space", mode="before")
    @classmethod
    def _spread_out(cls, given: Any) -> Any:
        """Spread out a batch size that grows."""
        return spread_out(given)

    @field_validator("default", mode="before")
    @classmethod
    def _spread_out_default(cls, given: Any) -> Any:
        """Spread out what a default says of a batch size that grows."""
        return spread_out(given, whole=False)


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
        return without(("rules", "only_solo"), check_as_sent(data))

    workload: AskedWorkload
    optimizers: list[Annotated[OptimizerChoice, BeforeValidator(by_name)]] = Field(
        default_factory=lambda: [OptimizerChoice(name=name) for name in DEFAULT_OPTIMIZERS],
        min_length=1,
        max_length=16,
    )
    today: TodaysConfig | None = Field(
        default=None,
        exclude_if=lambda today: today is None,  # what was sent before there was one keeps its bytes
        description="Config that is used today. Confirm trains it beside the finalists on every fresh seed, "
        "and the answer says first whether to keep it or to switch.",
    )
