"""The budget of a job: trials or minutes for the search, fresh seeds for confirm, and when it may stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from whichopt.service.errors import InvalidSpec
from whichopt.service.numeric import REAL, WHOLE, NumbersAreNumbers

MAX_TRIALS = 20_000
"""Most trials of a job, in both phases together."""

MOST_TRIALS = 3000
"""Most search trials of one optimizer."""

TRIALS = 48
"""Number of search trials of an optimizer if the spec has neither trials nor minutes."""

OVERRUN = 2
"""Factor by which a job's search may exceed its minutes."""


class TimedPlan(NumbersAreNumbers):
    """The plan that a probe makes for `minutes`, once, before the first round; it is kept with the spec.

    All rounds follow from it and from the results after it, so a job with the same record is planned in the
    same way without a probe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: dict[str, Annotated[int, WHOLE]] = Field(
        description="Number of search trials by label, estimated to take equal seconds; later rounds correct "
        "it by the recorded seconds."
    )
    step_ms: dict[str, Annotated[float, REAL]] = Field(
        description="Milliseconds that a step of one trial took, by label."
    )
    trial_seconds: dict[str, Annotated[float, REAL]] = Field(
        description="Estimated seconds of a full trial, by label."
    )
    search_seconds: float = Field(
        gt=0, description="Estimated seconds of training for each optimizer's search."
    )
    processes: int = Field(ge=1, description="Number of training processes at the time of the probe.")
    confirm_seeds_asked: int = Field(
        ge=3,
        description="Value of budget.confirm_seeds in the request; "
        "budget.confirm_seeds is now what fits the time.",
    )


class Budget(NumbersAreNumbers):
    """The budget of a job.

    `trials` is the number for each optimizer, divided among `replicates` equal, independent studies. With
    `minutes` instead, every optimizer gets the same seconds, and the job ends after about that time, confirm
    included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int | None = Field(
        default=None,
        ge=1,
        le=MOST_TRIALS,
        description=f"Number of search trials for each optimizer; {TRIALS} if minutes are not given either.",
    )
    minutes: float | None = Field(
        default=None,
        ge=0.05,
        le=30 * 24 * 60,
        allow_inf_nan=False,
        description="Minutes from the first claim to the recommendation, instead of trials.",
    )
    replicates: int = Field(default=3, ge=1, le=10)
    epochs: int = Field(default=20, ge=1, le=1000)
    confirm_seeds: int = Field(
        default=10,
        ge=3,
        le=100,
        description="Fresh seeds for each finalist on average, at most: all have the first ones, and "
        "champions those that are left for all. They are added in stages while the outcome is open.",
    )
    risk: float | None = Field(
        default=None,
        gt=0,
        lt=0.5,
        allow_inf_nan=False,
        description="Probability that the pick is not the best at which confirm also stops.",
    )
    max_seconds: float | None = Field(
        default=None,
        gt=0,
        le=30 * 86400,
        allow_inf_nan=False,
        description="Seconds from the first claim after which search trials stop, at "
        "their next evaluation or between two steps if that is far, and "
        "confirm runs with 3 fresh seeds.",
    )
    # Called `settled` since 0.1, in stored specs and in the API: the key stays as it was written.
    settled: TimedPlan | None = Field(
        default=None, description="Plan for the minutes. The service writes it; send it to repeat a job."
    )

    @model_validator(mode="before")
    @classmethod
    def _trials_or_minutes(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("trials") is None and data.get("minutes") is None:
            return {**data, "trials": TRIALS}
        return data

    @property
    def timed(self) -> bool:
        """Tell if the search is bounded by minutes."""
        return self.minutes is not None

    @property
    def limit_s(self) -> float | None:
        """The seconds from the job's first claim after which search trials are stopped.

        Minutes are kept by planning: only a search that takes OVERRUN times as long, as on a machine that
        has become slow since it was probed, is stopped.
        """
        return self.max_seconds if self.minutes is None else OVERRUN * 60 * self.minutes

    @property
    def study_trials(self) -> int:
        """Search trials of a study; with minutes, the most that are planned for one.

        Raises:
            ValueError: the minutes have no plan yet.
        """
        if self.trials is not None:
            return self.trials // self.replicates
        if self.settled is None:
            raise ValueError("the number of trials for budget.minutes is only planned before the first round")
        return max(self.settled.trials.values()) // self.replicates

    def trials_of(self, label: str) -> int | None:
        """Return the search trials of that label; None if there are minutes without a plan yet."""
        return self.trials if self.settled is None else self.settled.trials[label]

    @property
    def effort(self) -> str:
        """The effort of tuning each optimizer, to follow the word "tuned" in a sentence."""
        studies = f"{self.replicates} stud{'ies' if self.replicates > 1 else 'y'}"
        if self.trials is not None:
            return f"with {self.trials} trials each ({studies} of {self.study_trials})"
        return f"with equal training time ({studies} each, in a job of {self.minutes:g} minutes)"


def check(budget: Budget, labels: Sequence[str], *, today: bool = False) -> None:
    """Raise InvalidSpec if parts of the budget contradict each other, or are too much for a job.

    `today` says that the config of today trains on every fresh seed as well.
    """
    if budget.minutes is not None:
        _minutes(budget, labels)
    elif budget.settled is not None:
        raise InvalidSpec(
            "budget.settled is the plan for budget.minutes; it has no meaning without minutes",
            field="budget.settled",
        )
    if budget.trials is not None and budget.trials % budget.replicates:
        near = max(1, round(budget.trials / budget.replicates)) * budget.replicates
        raise InvalidSpec(
            f"budget.trials {budget.trials} cannot be divided into "
            f"{budget.replicates} equal studies; the nearest "
            f"number that can is {near}",
            field="budget.trials",
            value=budget.trials,
            allowed=f"multiples of budget.replicates ({budget.replicates})",
        )
    # For a job with minutes this is the least; its plan keeps to the limit.
    searched = 2 * budget.replicates if budget.trials is None else budget.trials
    finalists = budget.replicates + 1
    total = len(labels) * (searched + finalists * budget.confirm_seeds)
    todays = f" + {finalists} x {budget.confirm_seeds} of today's config" if today else ""
    if today:
        total += finalists * budget.confirm_seeds  # a champion has at most so many seeds, and today's as many
    if total > MAX_TRIALS:
        raise InvalidSpec(
            f"the job would have up to {total:,} trials "
            f"({len(labels)} optimizers x ({searched} to search + {finalists} finalists x "
            f"{budget.confirm_seeds} seeds to confirm){todays}); at most {MAX_TRIALS:,} are "
            "allowed",
            field="budget.trials" if budget.minutes is None else "budget.confirm_seeds",
            value=total,
            allowed=MAX_TRIALS,
        )


def _minutes(budget: Budget, labels: Sequence[str]) -> None:
    """Raise InvalidSpec if `minutes` stand beside what they replace, or their plan is another job's."""
    for other in ("trials", "max_seconds"):
        if getattr(budget, other) is not None:
            raise InvalidSpec(
                f"budget.minutes and budget.{other} cannot both be given: minutes decide "
                + ("the number of trials" if other == "trials" else "when the job ends"),
                field=f"budget.{other}",
                value=getattr(budget, other),
                allowed="only one of the two",
            )
    plan = budget.settled
    if plan is None:
        return
    for name in ("trials", "step_ms", "trial_seconds"):
        by_label: dict[str, float] = getattr(plan, name)
        if sorted(by_label) != sorted(labels) or min(by_label.values()) <= 0:
            raise InvalidSpec(
                f"budget.settled.{name} must have a number above 0 for each label of the job",
                field=f"budget.settled.{name}",
                value=by_label,
                allowed=list(labels),
            )
    if any(count % budget.replicates for count in plan.trials.values()):
        raise InvalidSpec(
            f"budget.settled.trials cannot be divided into {budget.replicates} equal studies",
            field="budget.settled.trials",
            value=plan.trials,
            allowed=f"multiples of budget.replicates ({budget.replicates})",
        )
