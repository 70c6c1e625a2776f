"""The plan that a worker gets (TrialPlan) and its answer (TrialResult): frozen, JSON-able, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from whichopt.service.batches import GrowingBatch, ScheduleName, growing_batch
from whichopt.service.guests import Start
from whichopt.service.numeric import REAL, NumbersAreNumbers
from whichopt.service.space import Config
from whichopt.service.states import Origin, Phase, TrialState


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


USUAL_STEP: Mapping[str, Any] = {"milestones": (0.5, 0.75), "factor": 0.1}
"""The milestones and the factor of the schedule `step`, if they are not given."""


class Schedule(NumbersAreNumbers):
    """The learning rate over a trial, as a factor of `lr`.

    `warmup`, `decay` and `milestones` are shares of the budget: the factor rises linearly over `warmup`, and
    then stays (`constant`), falls as half a cosine (`cosine`) or linearly (`linear`) to 0 at the end, holds
    at 1 and falls linearly to 0 over the last `decay` (`trapezoid`), or is multiplied by `factor` at each of
    the `milestones` (`step`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ScheduleName = "cosine"
    warmup: float = Field(default=0.0, ge=0, le=0.5)
    decay: float = Field(
        default=0.2, gt=0, le=0.5, description="Share of the decay; only `trapezoid` uses it."
    )
    milestones: tuple[Annotated[float, REAL], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        exclude_if=lambda milestones: milestones is None,  # other schedules keep their bytes
        description="Shares of the budget at which the learning rate is multiplied by `factor`, between the "
        "warm-up and 1, each above the one before; only `step` has them. Without them they are 0.5 and 0.75.",
    )
    factor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        exclude_if=lambda factor: factor is None,
        description="Factor of the learning rate at a milestone; only `step` has one. Without it, it is 0.1.",
    )

    @field_validator("milestones", "factor")
    @classmethod
    def _of_step(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuse what another schedule would not use."""
        name = info.data.get("name", "step")
        if given is not None and name != "step":
            raise ValueError(
                f"is for the schedule 'step', and this one is {name!r}; leave it out, or set name to step"
            )
        return given

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, given: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        """Refuse milestones that do not ascend between the warm-up and the end."""
        warmup = info.data.get("warmup", 0.0)
        if given is not None and not all(low < high for low, high in pairwise((warmup, *given, 1.0))):
            such = (1 - share * (1 - warmup) for share in (0.5, 0.25))
            raise ValueError(
                f"must ascend from above the warm-up, which ends at {warmup:g}, to below 1, and they are "
                f"{', '.join(f'{one:g}' for one in given)}; such as {', '.join(f'{one:g}' for one in such)}"
            )
        return given

    @property
    def said(self) -> str:
        """The schedule in words, without its warm-up."""
        if self.milestones is None:
            return self.name
        *others, last = (f"{one:.4g}" for one in self.milestones)
        at = f"{', '.join(others)} and {last}" if others else last
        return f"{self.name} (times {self.factor:g} at {at} of the budget)"

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, data: Any) -> Any:
        """Write out what `step` has by default."""
        if isinstance(data, dict) and data.get("name") == "step":
            given = {
                name: value for name, value in data.items() if value is not None or name not in USUAL_STEP
            }
            return {**USUAL_STEP, **given}
        return data


class Training(_Frozen):
    """The settings by which a trial's stream of examples becomes steps.

    With a growing batch, `batch_size` is that of a micro-batch, and a step takes as many of those as the
    batch has grown to.
    """

    batch_size: int = Field(ge=1)
    schedule: Schedule
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    compiled: bool = Field(default=False, description="True if the optimizers step by compiled kernels.")
    growing: GrowingBatch | None = Field(
        default=None,
        exclude_if=lambda growing: growing is None,  # plans of fixed batches keep their bytes
        description="The way in which the batch grows; absent if its size is fixed.",
    )

    def of(self, own: Config) -> Training:
        """Return this with what a config says of the batch size and the schedule."""
        if not own:
            return self
        growing = growing_batch(own)
        size = own.get("batch_size", self.batch_size) if growing is None else own["batch_micro"]
        name, warmup = own.get("schedule", self.schedule.name), own.get("warmup", self.schedule.warmup)
        same = self.schedule.milestones is not None and name == self.schedule.name
        kept = {"milestones": self.schedule.milestones, "factor": self.schedule.factor} if same else {}
        schedule = {"name": name, "warmup": warmup, "decay": self.schedule.decay, **kept}
        return self.model_copy(
            update={"batch_size": size, "schedule": Schedule.model_validate(schedule), "growing": growing}
        )

    def cuts(self, start: int, stop: int) -> Iterator[int]:
        """Yield the sizes of the batches that the examples from `start` to `stop` are cut into.

        A stretch begins where a step does; its last batch is what is left. No other place knows how examples
        become batches.
        """
        for at in range(start, stop, self.batch_size):
            yield min(self.batch_size, stop - at)

    def steps(self, start: int, stop: int) -> int:
        """Return the number of batches from `start` to `stop`."""
        return -(-(stop - start) // self.batch_size)

    def most_steps(self, length: int) -> int:
        """Return the steps of a trial of so many examples; a batch that grows makes fewer than these."""
        first = self.batch_size
        if self.growing is not None:
            first *= -(-self.growing.start // self.batch_size)
        return -(-length // first)

    def boundary(self, start: int, point: int) -> int:
        """Return the examples at the first end of a step at or after `point`, if a step begins at `start`."""
        return start + self.steps(start, point) * self.batch_size


class Seeds(_Frozen):
    """`init` draws the params, `order` the stream of examples, `split` train against validation."""

    init: int = Field(ge=0)
    order: int = Field(ge=0)
    split: int = Field(ge=0)


class Rung(_Frozen):
    """A trial whose value at `examples` is worse than `threshold` is pruned there."""

    examples: int
    threshold: float


class TrialPlan(_Frozen):
    """All that one training run depends on: its result is a pure function of this and the workload."""

    label: str
    optimizer: str
    config: Config
    training: Training
    seeds: Seeds
    length: int = Field(ge=1, description="Number of examples that the trial sees in all.")
    evaluations: tuple[int, ...] = Field(
        min_length=1, description="Numbers of examples at which the model is evaluated; the last is `length`."
    )
    rungs: tuple[Rung, ...] = ()
    phase: Phase
    origin: Origin
    replicate: int | None = Field(description="Number of the study; null if confirm retrains a default.")
    number: int = Field(
        description="Number of the trial in its study (search), or of its fresh seeds (confirm)."
    )


class Point(NamedTuple):
    """One point of a curve."""

    step: int
    examples: int
    value: float


class Sample(_Frozen):
    """What a trained network makes, for people to look at.

    `text` is some text that it writes; `points` (N, 2) are float32, little-endian, and `images` (N, channels,
    height, width) a byte a number, both in base64.
    """

    kind: Literal["text", "points", "images"]
    content: str
    shape: tuple[int, ...] = ()


class TrialResult(_Frozen):
    """The result of one training run.

    `value` is the task's metric at the last step: on the validation split in search, on the test split
    in confirm; None unless the trial is complete. A search trial that time has stopped is `cancelled`, with
    what it had by then. `metrics` holds every metric by split
    (`train`, `validation`, and in confirm `test`). `curves` maps "split.metric" to its points; all
    values are finite: a diverged trial's curves end before the loss did. `reference` (confirm only) is
    what a constant predictor fitted to the training split scores on the test split.
    """

    state: Literal[TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.CANCELLED]
    value: float | None
    metrics: dict[str, dict[str, float]]
    curves: dict[str, list[Point]]
    reference: dict[str, float] | None = None
    steps: int
    examples: int
    seconds: float
    start: Start | None = Field(
        default=None,
        exclude_if=lambda start: start is None,  # what other jobs have written keeps its bytes
        description="What a guest's trial started from; absent for other jobs.",
    )
    by_example: str | None = Field(
        default=None,
        exclude_if=lambda values: values is None,
        description="Value of the metric on each kept example of the test split (confirm): float32, "
        "little-endian, in base64; absent if the metric is no mean over examples.",
    )

    sample: Sample | None = Field(
        default=None,
        exclude_if=lambda sample: sample is None,
        description="What the network made at its end, on the first of the fresh seeds (confirm); absent if "
        "it makes nothing to look at.",
    )

    def with_examples(self, values: str | None) -> TrialResult:
        """Return the result with those values by example."""
        return self if values == self.by_example else self.model_copy(update={"by_example": values})


class Trial(_Frozen):
    """A trial as the database remembers it: its plan, where it stands, and its result once it has one."""

    plan: TrialPlan
    state: TrialState
    result: TrialResult | None = None
