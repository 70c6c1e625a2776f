"""The shape of a job's conclusion: which config to deploy, how sure, against whom, at what cost.

A run that diverged has no value. A mean or an interval is shown only of configs of which every run has one;
of the others it is told on how many fresh seeds they diverged.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.spec import Margin
from whichopt.service.states import Direction


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Interval(_View):
    """A mean with its interval at `level`; `low` and `high` are null where there are too few runs."""

    mean: float
    low: float | None
    high: float | None
    level: float
    seeds: int = Field(description="independent runs behind it")


class Difference(_View):
    """In the metric's units; positive is worse. `mean` is the difference to the arm with the best mean.

    `low` and `high` bound how much worse its expected value is than that of the best finalist, whichever
    that is: simultaneous over all finalists (Edwards and Hsu 1983). Negative where an arm that may not win (a
    finalist of its optimizer diverged) has the better mean.
    """

    mean: float
    low: float | None
    high: float | None
    percent: float | None = Field(
        default=None, description="`mean` in percent of the best one's value; null where that is 0"
    )
    effect: float | None = Field(
        default=None,
        description="`mean` in standard deviations of the paired differences (Cohen's d_z); null without any",
    )
    worse_share: float | None = Field(
        default=None, description="share of the fresh seeds on which it is worse; an equal value counts half"
    )


class Finalist(_View):
    """One optimizer in the ranking: its best finalist, and what it cost to find.

    `value` and `difference` are null if that config diverged on a fresh seed, `default_value` if the default
    did. (In recommendations of version 0.1, which have no `diverged_seeds`, such a run counts in the means as
    what a constant predictor scores.)
    """

    optimizer: str
    config: dict[str, Any]
    replicate: int | None = Field(description="the study that found the config; null for the default setting")
    value: Interval | None = Field(description="on the test split, over the fresh seeds")
    default_value: Interval | None
    diverged_seeds: int | None = Field(
        default=None, description="fresh seeds on which this config diverged: with any, it is not deployed"
    )
    default_diverged_seeds: int | None = Field(
        default=None, description="fresh seeds on which the default setting diverged"
    )
    searched_value: float | None = Field(
        description="the config's validation value in search, which is the luckier one"
    )
    confirmed_validation: float | None = Field(
        description="the same config's mean validation value over the fresh seeds"
    )
    probability_best: float | None = Field(
        description="0 if none of its finalists can be deployed; null if no optimizer's can"
    )
    difference: Difference | None
    practically_equivalent: bool | None = Field(
        default=None, description="shown to be within the margin of the best; null where no margin was set"
    )
    diverged: int = Field(description="confirm runs of this optimizer's finalists that diverged")
    trials: int
    steps: int
    examples: int
    seconds: float


class OptimizerDifference(_View):
    """Between the means over studies of an optimizer and of the best one; positive is worse.

    The interval is for the difference to the best optimizer, whichever that is, simultaneous over all.
    """

    optimizer: str
    mean: float | None = Field(description="null if a config that its studies chose diverged on a fresh seed")
    low: float | None
    high: float | None
    percent: float | None = None


class OptimizerVerdict(_View):
    """Of tuned optimizers at this budget: the unit is a study. Null with one replicate, and `nothing` if no
    optimizer can win, as a finalist of each diverged."""

    verdict: Literal["winner", "tie", "nothing"] | None
    optimizer: str | None
    equivalent: list[str]
    differences: list[OptimizerDifference]
    replicates: int
    statement: str
    probability_best: dict[str, float] | None = Field(
        default=None, description="by label, that it is the best optimizer here when tuned with this budget"
    )
    practically_equivalent: list[str] | None = Field(
        default=None,
        description="optimizers shown to be within the margin of the best one; null without margin",
    )


class Stage(_View):
    """How far confirm went. Every test and interval is made at the level that is this look's."""

    seeds: int = Field(description="fresh seeds that every finalist was run with")
    most: int = Field(description="budget.confirm_seeds")
    looks: list[int] = Field(description="fresh seeds after each planned look at the results")
    look: int = Field(description="which of them this is, from 1")
    alpha: float = Field(description="what this look may spend of the family-wise 0.05 of the config verdict")
    stopped: str = Field(description="why there are no more seeds")


class Cost(_View):
    trials: int
    steps: int
    examples: int
    seconds: float


class JobWarning(_View):
    code: str
    detail: str
    optimizer: str | None = None


class Recommendation(_View):
    """The conclusion of a job: which config to deploy, how sure, against whom, at what cost.

    With the verdict `nothing` there is none to deploy: every finalist diverged on a fresh seed. `optimizer`,
    `config`, `value`, `probability_best` and `snippet` are null then, `equivalent` is empty, and the
    statement says what was seen and what to change.
    """

    job_id: str
    words: int = Field(default=1, ge=1, description="version of the words that it is told in")
    task: str
    dataset: str
    model: str
    verdict: Literal["winner", "tie", "nothing"]
    optimizer: str | None
    config: dict[str, Any] | None
    question: Literal["config"] = "config"
    statement: str = Field(description="the verdict in a sentence")
    optimizer_verdict: OptimizerVerdict
    metric: str
    direction: Direction
    value: Interval | None
    probability_best: float | None
    equivalent: list[str] = Field(description="optimizers that cannot be told from the best; all, in a tie")
    ranking: list[Finalist]
    cost: Cost
    warnings: list[JobWarning]
    snippet: str | None
    margin: Margin | None = Field(default=None, description="as the spec set it")
    practically_equivalent: list[str] | None = Field(
        default=None,
        description="optimizers whose best finalist is shown to be within the margin of the best finalist; "
        "null where no margin was set",
    )
    stage: Stage | None = None

    @property
    def seeds(self) -> int:
        """Fresh seeds that every finalist was run with."""
        if self.stage is not None:
            return self.stage.seeds
        return 0 if self.value is None else self.value.seeds

    @property
    def shows_stand_ins(self) -> bool:
        """Whether it is one of version 0.1, whose means count diverged runs as what stands in for them."""
        return all(row.diverged_seeds is None for row in self.ranking)

    @property
    def level(self) -> float:
        """Of its intervals."""
        return 0.95 if self.value is None else self.value.level
