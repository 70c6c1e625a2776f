"""The shape of a job's conclusion: which config to deploy, how sure, against whom, at what cost.

A run that diverged has no value. Means and intervals are shown only for configs that have a value for every
run; for the others, the number of fresh seeds on which they diverged is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from whichopt.service.catalog.tasks import has_ratio
from whichopt.service.described import without_example
from whichopt.service.spec import Margin
from whichopt.service.states import Direction
from whichopt.service.views.today import TodayAnswer
from whichopt.service.views.view import View

if TYPE_CHECKING:
    from whichopt.service.figures.figure import Metric
    from whichopt.service.figures.shown import Ranked


class Interval(View):
    """A mean with its interval at `level`; `low` and `high` are null if there are too few runs."""

    mean: float
    low: float | None
    high: float | None
    level: float
    seeds: int = Field(description="Number of independent runs behind it.")


class Difference(View):
    """The difference of a finalist to the one with the best mean, in the metric's units; positive is worse.

    `low` and `high` bound how much worse its expected value is than that of the best finalist, whichever
    that is, simultaneously over all finalists (Edwards and Hsu 1983). `mean` is negative if a config that may
    not win (because a finalist of its optimizer diverged) has the better mean.
    """

    mean: float
    low: float | None
    high: float | None
    percent: float | None = Field(
        default=None, description="Difference `mean` in percent of the best one's value; null if that is 0."
    )
    effect: float | None = Field(
        default=None,
        description="Difference `mean` in standard deviations of the paired "
        "differences (Cohen's d_z); null if "
        "they do not vary.",
    )
    worse_share: float | None = Field(
        default=None, description="Share of the fresh seeds on which it is worse; an equal value counts half."
    )


class RankedOptimizer(View):
    """One optimizer in the ranking: its best finalist, and the cost of finding it.

    `value` and `difference` are null if that config diverged on a fresh seed, `default_value` if the default
    did. (Recommendations of version 0.1 have no `diverged_seeds`; in their means, a diverged run counts with
    the score of a constant predictor.)
    """

    optimizer: str
    config: dict[str, Any]
    replicate: int | None = Field(
        description="Number of the study that found the config; null for the default setting."
    )
    value: Interval | None = Field(description="Mean on the test split, over the fresh seeds.")
    default_value: Interval | None = Field(
        description="The same of the default setting; by rules 2 over the seeds of the first stage."
    )
    diverged_seeds: int | None = Field(
        default=None,
        description="Number of fresh seeds on which this config diverged; if above 0, it is not recommended.",
    )
    default_diverged_seeds: int | None = Field(
        default=None, description="Number of fresh seeds on which the default setting diverged."
    )
    searched_value: float | None = Field(
        description="Validation value of the config in search, where the lucky runs are chosen."
    )
    confirmed_validation: float | None = Field(
        description="Mean validation value of the same config over the fresh seeds."
    )
    probability_best: float | None = Field(
        description="Probability that this optimizer has the best config; 0 if none of its finalists can be "
        "deployed, null if no optimizer's can."
    )
    difference: Difference | None
    practically_equivalent: bool | None = Field(
        default=None,
        description="True if it is shown to be within the margin of the best; null if no margin was set.",
    )
    diverged: int = Field(description="Number of confirm runs of this optimizer's finalists that diverged.")
    trials: int
    steps: int
    examples: int
    seconds: float


class OptimizerDifference(View):
    """The difference between an optimizer's mean over studies and that of the best one; positive is worse.

    The interval is for the difference to the best optimizer, whichever that is, simultaneously over all.
    """

    optimizer: str
    mean: float | None = Field(
        description="Mean difference; null if a config that its studies chose diverged on a fresh seed."
    )
    low: float | None
    high: float | None
    percent: float | None = None


class OptimizerVerdict(View):
    """The verdict on optimizers tuned with this budget; the unit is a study.

    `verdict` is null with one replicate or one optimizer, and `nothing` if no optimizer can win because a
    finalist of each diverged.
    """

    verdict: Literal["winner", "tie", "nothing"] | None
    optimizer: str | None
    equivalent: list[str]
    differences: list[OptimizerDifference]
    replicates: int
    statement: str
    probability_best: dict[str, float] | None = Field(
        default=None,
        description="Probability of being the best optimizer here when tuned with this budget, by label.",
    )
    practically_equivalent: list[str] | None = Field(
        default=None,
        description="Optimizers shown to be within the margin of the best one; null without a margin.",
    )


class Stage(View):
    """The progress of confirm. All tests and intervals use the level of this look."""

    seeds: int = Field(description="Number of fresh seeds of a champion; by rules 1, of every finalist.")
    most: int = Field(description="Most fresh seeds of a champion; by rules 1, `budget.confirm_seeds`.")
    looks: list[int] = Field(
        description="Number of fresh seeds at each planned look at the results. By rules 2 the first stage, "
        "which chooses the champions, is the first of them."
    )
    look: int = Field(description="Number of this look, from 1.")
    first: int | None = Field(
        default=None,
        exclude_if=lambda first: first is None,
        description="Number of fresh seeds of every finalist, by which the champions are chosen and the "
        "optimizers are compared; absent by rules 1.",
    )
    alpha: float = Field(
        description="Part of the config verdict's family-wise level of 0.05 that this look may spend."
    )
    stopped: str = Field(description="Reason why there are no more seeds.")


class SeenLead(View):
    """A true lead over every rival, in the metric's units and in standard deviations."""

    lead: float
    deviations: float | None = Field(
        description="The same in standard deviations of one config's value over fresh seeds; null if it "
        "does not vary."
    )


class CouldHaveSeen(View):
    """The least leads that the job would have named with that chance, by the spreads of its own runs."""

    chance: float
    config: SeenLead | None = Field(description="That of the config verdict; null if nothing tells.")
    optimizer: SeenLead | None = Field(
        description="That of the optimizer verdict; null if nothing tells, as with one study each."
    )


class Cost(View):
    trials: int
    steps: int
    examples: int
    seconds: float


class OverExamples(View):
    """The recommended config's lead over the best rival, over seeds and test examples together.

    `low` and `high` bound the mean lead on new seeds *and* new examples, drawn as the test split was; other
    intervals take its examples as they are. It is in the metric's units, and above 0 if the recommended
    config is better. It is known if the metric is a mean over examples.
    """

    rival: str = Field(
        description="Optimizer of the best rival; of a job with one optimizer, whose default is the rival, "
        "that optimizer."
    )
    mean: float = Field(description="Mean lead over the test split and the seeds.")
    low: float
    high: float
    examples: int = Field(description="Number of examples in the test split.")
    kept: int = Field(
        description="Number of examples by which their spread is known: all, or the 10,000 whose places have "
        "the least `splitmix64` hashes."
    )
    seeds: int = Field(description="Number of fresh seeds, those that the verdict on configs rests on.")
    level: float
    holds: bool | None = Field(
        description="True if the verdict on configs would hold on new examples, by this interval and those "
        "against every other rival; null if the verdict claims no lead."
    )


class JobWarning(View):
    code: str
    detail: str
    optimizer: str | None = None


class Recommendation(View):
    """The conclusion of a job: which config to deploy, how sure, against whom, at what cost.

    With the verdict `nothing` there is no config to deploy: every finalist diverged on a fresh seed. Then
    `optimizer`, `config`, `value`, `probability_best` and `snippet` are null, `equivalent` is empty, and the
    statement says what happened and what to change.

    Example:
        >>> from whichopt import Recommendation
        >>> recommendation = client.recommendation(job.id)
        >>> Recommendation.model_validate_json(recommendation.model_dump_json()) == recommendation
        True
        >>> sorted(finalist.optimizer for finalist in recommendation.ranking)
        ['adabelief', 'sgd']
    """

    model_config = ConfigDict(json_schema_extra=without_example)

    job_id: str
    rules: int = Field(
        default=1,
        ge=1,
        exclude_if=lambda rules: rules == 1,
        description="Version of the rules by which it was concluded; absent by rules 1.",
    )
    words: int = Field(default=1, ge=1, description="Version of the words of its sentences.")
    task: str | None
    dataset: str | None
    model: str | None
    function: str | None = Field(
        default=None,
        exclude_if=lambda name: name is None,
        description="Name of the person's own function that was trained, in place of task, dataset and "
        "model; absent for entries of the catalog.",
    )
    unit: Literal["examples", "epochs"] = Field(
        default="examples",
        exclude_if=lambda unit: unit == "examples",
        description="Unit in which `examples` are counted, in here and in its job; absent if it is examples.",
    )
    split: Literal["test", "validation"] = Field(
        default="test",
        exclude_if=lambda split: split == "test",
        description="Split on which it is judged: `validation` if nobody held a test part back; absent if "
        "it is the test split.",
    )
    verdict: Literal["winner", "tie", "nothing"]
    optimizer: str | None
    config: dict[str, Any] | None
    question: Literal["config"] = "config"
    statement: str = Field(description="Verdict in a sentence.")
    optimizer_verdict: OptimizerVerdict
    metric: str
    direction: Direction
    value: Interval | None
    probability_best: float | None
    equivalent: list[str] = Field(
        description="Optimizers that cannot be distinguished from the best one, itself included."
    )
    ranking: list[RankedOptimizer]
    over_examples: OverExamples | None = Field(
        default=None,
        exclude_if=lambda lead: lead is None,
        description="Lead over seeds and test examples together; absent if the metric is no mean over "
        "examples, or an earlier version trained the job.",
    )
    cost: Cost
    warnings: list[JobWarning]
    snippet: str | None
    margin: Margin | None = Field(default=None, description="Margin of the spec; null if it has none.")
    practically_equivalent: list[str] | None = Field(
        default=None,
        description="Optimizers whose best finalist is shown to be within the "
        "margin of the best finalist; null "
        "if no margin was set.",
    )
    stage: Stage | None = None
    could_have_seen: CouldHaveSeen | None = Field(
        default=None,
        exclude_if=lambda seen: seen is None,
        description="Leads that the job could have seen; absent if there is nobody to beat, and by rules 1.",
    )
    today: TodayAnswer | None = Field(
        default=None,
        exclude_if=lambda today: today is None,
        description="Answer about the config that is used today; absent if the job has none.",
    )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Return what a notebook shows: the sentence, the ranking, a figure of the finalists' intervals."""
        from whichopt.service.figures.notebook import bundle
        from whichopt.service.figures.shown import ranking_figure, ranking_html
        from whichopt.service.figures.tones import tones

        of = tones({row.optimizer: row.optimizer for row in self.ranking})
        rows, metric = self.shown_rows, self.shown_metric
        figure = ranking_figure(rows, metric, of, self.level)
        return bundle(ranking_html(self.statement, rows, metric, of), self.statement, figure)

    @property
    def shown_metric(self) -> Metric:
        """The metric as figures name it."""
        from whichopt.service.figures.figure import Metric

        return Metric(self.metric, self.direction, self.split)

    @property
    def shown_rows(self) -> list[Ranked]:
        """The ranking as a notebook shows it."""
        from whichopt.service.figures.intervals import Bounded
        from whichopt.service.figures.shown import Ranked

        return [
            Ranked(
                row.optimizer,
                None
                if row.value is None
                else Bounded(row.optimizer, row.value.mean, row.value.low, row.value.high),
                row.probability_best,
                row.config,
            )
            for row in self.ranking
        ]

    @property
    def config_statement(self) -> str:
        """The verdict on configs alone: the statement without its sentence about today's config."""
        return (
            self.statement if self.today is None else self.statement.removeprefix(f"{self.today.sentence} ")
        )

    @property
    def title(self) -> str:
        """The name of what was trained."""
        return self.function or f"{self.dataset}/{self.model}"

    @property
    def seeds(self) -> int:
        """The number of fresh seeds that the comparison of configs rests on."""
        if self.stage is None:
            return 0 if self.value is None else self.value.seeds
        first = self.stage.first or 0
        return self.stage.seeds - first if self.stage.seeds > first else self.stage.seeds

    @property
    def all_seeds(self) -> int:
        """The number of fresh seeds of the configs that are compared, the first stage included."""
        return self.seeds if self.stage is None else self.stage.seeds

    @property
    def first_seeds(self) -> int:
        """The number of fresh seeds of every finalist."""
        return self.all_seeds if self.stage is None or self.stage.first is None else self.stage.first

    @property
    def shows_stand_ins(self) -> bool:
        """Tell if version 0.1 made it, whose means count a constant predictor's score for diverged runs."""
        return all(row.diverged_seeds is None for row in self.ranking)

    @property
    def has_percent(self) -> bool:
        """Tell if a difference in percent has a meaning, which a metric without a natural 0 gives it not."""
        return has_ratio(self.task, self.metric)

    @property
    def level(self) -> float:
        """The level of its intervals."""
        return 0.95 if self.value is None else self.value.level
