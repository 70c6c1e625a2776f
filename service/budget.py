"""What a job may spend: trials or minutes for the search, fresh seeds for confirm, and when it may stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from service.errors import InvalidSpec
from service.numeric import REAL, WHOLE, NumbersAreNumbers

MAX_TRIALS = 20_000
"""Of a whole job, both phases."""

MOST_TRIALS = 3000
"""Of one optimizer."""

TRIALS = 48
"""Where neither trials nor minutes are asked for."""

OVERRUN = 2
"""Times its minutes that a job's search may take."""


class Settled(NumbersAreNumbers):
    """What `minutes` came to, settled once by a probe before the first round and kept with the spec.

    All rounds follow from it and from what is recorded after it, so a job with the same record is planned in
    the same way without a probe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: dict[str, Annotated[int, WHOLE]] = Field(
        description="search trials by label that were reckoned to take equal seconds; as recorded seconds "
        "come in, later rounds correct it"
    )
    step_ms: dict[str, Annotated[float, REAL]] = Field(
        description="milliseconds that a step of one trial took, by label"
    )
    trial_seconds: dict[str, Annotated[float, REAL]] = Field(
        description="seconds that a whole trial was reckoned to take"
    )
    search_seconds: float = Field(gt=0, description="of training, reckoned for each optimizer's search")
    processes: int = Field(ge=1, description="that trained when it was settled")
    confirm_seeds_asked: int = Field(
        ge=3, description="budget.confirm_seeds as it was asked for; it now says what there is time for"
    )


class Budget(NumbersAreNumbers):
    """`trials` is per optimizer, dealt to `replicates` equal, independent studies. With `minutes` in its
    place every optimizer gets the same seconds, and the job ends after about that time, confirm included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int | None = Field(
        default=None,
        ge=1,
        le=MOST_TRIALS,
        description=f"per optimizer; {TRIALS}, where minutes are not given either",
    )
    minutes: float | None = Field(
        default=None,
        ge=0.05,
        le=30 * 24 * 60,
        allow_inf_nan=False,
        description="in place of trials: from the first claim to the recommendation",
    )
    replicates: int = Field(default=3, ge=1, le=10)
    epochs: int = Field(default=20, ge=1, le=1000)
    confirm_seeds: int = Field(
        default=10, ge=3, le=100, description="the most; they are added in stages while the outcome is open"
    )
    risk: float | None = Field(
        default=None,
        gt=0,
        lt=0.5,
        allow_inf_nan=False,
        description="confirm also stops once the probability that the pick is not the best is at most this",
    )
    max_seconds: float | None = Field(
        default=None,
        gt=0,
        le=30 * 86400,
        allow_inf_nan=False,
        description="from the first claim on: then trials of the search stop at their next evaluation, and "
        "confirm runs with 3 fresh seeds",
    )
    settled: Settled | None = Field(
        default=None, description="what minutes came to; written by the service, given to repeat a job"
    )

    @model_validator(mode="before")
    @classmethod
    def _trials_or_minutes(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("trials") is None and data.get("minutes") is None:
            return {**data, "trials": TRIALS}
        return data

    @property
    def timed(self) -> bool:
        """Whether it is minutes that bound the search."""
        return self.minutes is not None

    @property
    def limit_s(self) -> float | None:
        """Seconds from the job's first claim on after which trials of the search are stopped.

        Minutes are kept by planning: only a search that takes OVERRUN times as long, as on a machine that
        has become slow since it was probed, is stopped.
        """
        return self.max_seconds if self.minutes is None else OVERRUN * 60 * self.minutes

    @property
    def study_trials(self) -> int:
        """Search trials of a study; with minutes, the most that were settled for one.

        Raises:
            ValueError: minutes that are not settled yet.
        """
        if self.trials is not None:
            return self.trials // self.replicates
        if self.settled is None:
            raise ValueError("the trials that budget.minutes come to are settled before the first round")
        return max(self.settled.trials.values()) // self.replicates

    def trials_of(self, label: str) -> int | None:
        """Search trials of that label, as asked for or settled; None for minutes that are not settled."""
        return self.trials if self.settled is None else self.settled.trials[label]

    @property
    def effort(self) -> str:
        """How each optimizer is tuned, for a sentence: "tuned ..."."""
        studies = f"{self.replicates} stud{'ies' if self.replicates > 1 else 'y'}"
        if self.trials is not None:
            return f"with {self.trials} trials each ({studies} of {self.study_trials})"
        return f"for equal seconds of training ({studies} each, in a job of {self.minutes:g} minutes)"


def check(budget: Budget, labels: Sequence[str]) -> None:
    """Raises InvalidSpec where the parts of the budget do not go together, or are too much for a job."""
    if budget.minutes is not None:
        _minutes(budget, labels)
    elif budget.settled is not None:
        raise InvalidSpec(
            "budget.settled says what budget.minutes came to; without minutes it says nothing",
            field="budget.settled",
        )
    if budget.trials is not None and budget.trials % budget.replicates:
        near = max(1, round(budget.trials / budget.replicates)) * budget.replicates
        raise InvalidSpec(
            f"budget.trials {budget.trials} cannot be dealt to {budget.replicates} equal studies; "
            f"the nearest that can is {near}",
            field="budget.trials",
            value=budget.trials,
            allowed=f"multiples of budget.replicates ({budget.replicates})",
        )
    # Of a job with minutes, the least that it can be; its settlement keeps to the limit.
    searched = 2 * budget.replicates if budget.trials is None else budget.trials
    finalists = budget.replicates + 1
    total = len(labels) * (searched + finalists * budget.confirm_seeds)
    if total > MAX_TRIALS:
        raise InvalidSpec(
            f"the job would have up to {total:,} trials "
            f"({len(labels)} optimizers x ({searched} to search + {finalists} finalists x "
            f"{budget.confirm_seeds} seeds to confirm)); at most {MAX_TRIALS:,} are allowed",
            field="budget.trials" if budget.minutes is None else "budget.confirm_seeds",
            value=total,
            allowed=MAX_TRIALS,
        )


def _minutes(budget: Budget, labels: Sequence[str]) -> None:
    """Raises InvalidSpec where `minutes` stand beside what they replace, or are settled for another job."""
    for other in ("trials", "max_seconds"):
        if getattr(budget, other) is not None:
            raise InvalidSpec(
                f"budget.minutes and budget.{other} cannot both be given: minutes settle "
                + ("the trials" if other == "trials" else "when the job ends"),
                field=f"budget.{other}",
                value=getattr(budget, other),
                allowed="either of them, the other left out",
            )
    settled = budget.settled
    if settled is None:
        return
    for name in ("trials", "step_ms", "trial_seconds"):
        found: dict[str, float] = getattr(settled, name)
        if sorted(found) != sorted(labels) or min(found.values()) <= 0:
            raise InvalidSpec(
                f"budget.settled.{name} must have a number above 0 for each label of the job",
                field=f"budget.settled.{name}",
                value=found,
                allowed=list(labels),
            )
    if any(count % budget.replicates for count in settled.trials.values()):
        raise InvalidSpec(
            f"budget.settled.trials cannot be dealt to {budget.replicates} equal studies",
            field="budget.settled.trials",
            value=settled.trials,
            allowed=f"multiples of budget.replicates ({budget.replicates})",
        )
