"""The shapes of the analysis of a job's trials: frozen, JSON-able, all numbers finite.

Values are in the units of the task's metric, in its own direction. `optimizer` is the label everywhere.
A value is null if there is nothing to compute it from; the field says when that is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.states import Direction, Phase, TrialState


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CurvePoint(_View):
    """A mean over studies with its band. Null while some study has no complete trial yet."""

    at: float = Field(description="Number of trials of one study, or its seconds.")
    value: float | None
    low: float | None
    high: float | None


class StudyTrace(_View):
    """The best value so far of one study: after its first and last trial, and after each improvement."""

    replicate: int
    trials: list[int]
    seconds: list[float] = Field(description="Seconds of all trials up to this one.")
    values: list[float | None] = Field(
        description="Best values so far; null before the first complete trial."
    )


class Anytime(_View):
    """The best validation value so far in a study, against its cost."""

    optimizer: str
    band: Literal["none", "range", "bootstrap"] = Field(
        description="Kind of band: `none` with one study, `range` (lowest and "
        "highest study) with two to four, "
        "`bootstrap` over studies with more."
    )
    level: float | None = Field(
        description="Level of the band: for the mean (`bootstrap`) or for the median study (`range`)."
    )
    by_trials: list[CurvePoint]
    by_seconds: list[CurvePoint] = Field(description="Points up to the end of the shortest study.")
    studies: list[StudyTrace]


class ExpectedBestPoint(_View):
    """The expected best value of `trials` random trials, given that one of them is complete."""

    trials: int
    unbiased: float | None = Field(description="U-statistic (Tang et al. 2020).")
    plug_in: float | None = Field(
        description="V-statistic (Dodge et al. 2019): less variable, but too pessimistic."
    )
    low: float | None = Field(description="Percentile bootstrap over trials of the U-statistic.")
    high: float | None
    missing: float = Field(description="Probability that none of that many trials is complete (U-statistic).")


class ExpectedBest(_View):
    optimizer: str
    random_trials: int = Field(description="Number of random trials of all studies.")
    without_value: int = Field(description="Number of them that diverged or were pruned.")
    level: float
    points: list[ExpectedBestPoint] = Field(description="Points up to half of the random trials.")


class Change(_View):
    """A mean difference with its interval; positive is better."""

    mean: float
    low: float | None = Field(description="Lower end; null if there are too few runs.")
    high: float | None
    level: float
    percent: float | None = Field(
        description="Difference in percent of the value that it is compared with; null if that is 0."
    )


class Tunability(_View):
    """The gain from tuning, and how early it comes (Sivaprasad et al. 2020).

    Areas are weighted means of the expected incumbent over the trials of a study; they are null if a study
    could be without a complete trial for a while.
    """

    optimizer: str
    area_uniform: float | None
    area_early: float | None = Field(
        description="Area with weights that fall linearly from the first trial to the last."
    )
    default_value: float | None = Field(
        description="Mean of the default on the test split over the fresh seeds."
    )
    tuned_value: float | None = Field(
        description="Mean of the configs that the studies chose, on the same split and seeds."
    )
    gain: Change | None = Field(description="Gain of tuned over default, paired by seed.")
    gain_over: Literal["studies and seeds", "seeds"] | None = Field(
        description="Sources of luck in the interval; the luck of a single study cannot be estimated."
    )
    seeds: int = Field(description="Number of fresh seeds that all of its finalists have run with.")
    searched_value: float | None = Field(description="Mean validation value of the chosen configs in search.")
    confirmed_value: float | None = Field(
        description="Mean validation value of the chosen configs over the fresh seeds."
    )
    search_optimism: float | None = Field(
        description="Optimism of the search: positive if values are worse when confirmed."
    )


class AdviceRow(_View):
    optimizer: str
    expected: float | None = Field(
        description="Expected incumbent of a study; null if a study could be without a complete trial."
    )
    probability_best: float


class AdviceStep(_View):
    trials: int
    optimizer: str | None = Field(
        description="Optimizer with the best expected incumbent after that many trials."
    )
    rows: list[AdviceRow]


class AdviceRange(_View):
    """A range of numbers of trials for which the advice is the same."""

    first: int
    last: int
    optimizer: str
    probability_low: float = Field(description="Lowest probability of being the best in the range.")
    probability_high: float
    likelier: list[str] = Field(
        description="Other optimizers that are more often the best somewhere in "
        "the range, though worse on average."
    )
    close: list[str] = Field(
        description="Other optimizers that are at least half as likely to be the best somewhere in the range."
    )


class BudgetAdvice(_View):
    """The optimizer to take for each number of trials, up to the trials that every study ran."""

    replicates: int
    steps: list[AdviceStep]
    ranges: list[AdviceRange]
    statement: str


class SensitivityPoint(_View):
    lr: float | None
    value: float | None = Field(description="Value of the trial; null if it is not complete.")
    excess: float | None = Field(
        description="Difference to its study's best, as a share of that; null if that is 0."
    )
    replicate: int
    state: TrialState = Field(description="State of the trial: complete, pruned or diverged.")


class Sensitivity(_View):
    """The sensitivity to the config. Near means within `tolerance` of the best value of the same study."""

    optimizer: str
    tolerance: float
    trials: int
    complete: int
    diverged: int
    pruned: int
    near: int
    share_near: float | None = Field(description="Share of near configs among the complete ones.")
    share_diverged: float | None = Field(description="Share of diverged trials.")
    random_trials: int
    random_share_near: float | None = Field(
        description="Share of near configs among all random trials, which "
        "estimates the share of the space that "
        "does well."
    )
    near_overall: int = Field(
        description="Number of complete configs near the best of all optimizers in the replicate."
    )
    lr_decades: float | None = Field(
        description="Decades between the lowest and the highest lr of near configs."
    )
    lr_low: float | None
    lr_high: float | None
    range_decades: float | None = Field(
        description="Decades of the range that was searched; null if lr is fixed."
    )
    points: list[SensitivityPoint]


class TargetTimes(_View):
    """The times at which the confirm runs of an optimizer's best finalist first reached the target."""

    optimizer: str
    runs: int
    reached: int
    median_steps: int | None = Field(
        description="Steps by which at least half of the runs reached it; null if fewer ever did."
    )
    median_examples: int | None
    median_seconds: float | None
    restricted_steps: float = Field(
        description="Mean steps, counting a run that never reached it with the whole budget."
    )
    restricted_seconds: float
    ratio_steps: float | None = Field(
        description="Ratio of the median to the lowest median; 1 is the fastest."
    )
    ratio_seconds: float | None
    steps: list[int | None] = Field(
        description="Steps of each run, in the order of the seeds; null if it never reached the target."
    )
    seconds: list[float | None]


class TimeToTarget(_View):
    target: float
    source: Literal["second best", "only optimizer", "given"]
    of: str | None = Field(description="Optimizer whose median is the target; null if the target was given.")
    metric: str = Field(description="Metric of the task, on the validation split.")
    rows: list[TargetTimes]


class StepCost(_View):
    optimizer: str
    trials: int
    ms_per_step: float | None = Field(description="Median over the trials.")
    ms_low: float | None = Field(description="Lower quartile.")
    ms_high: float | None = Field(description="Upper quartile.")
    shared: float | None = Field(
        description="Share of its trials that were charged exactly as much as one of another optimizer. They "
        "trained in one stack, whose time was split evenly, so they do not compare the two."
    )
    state_bytes: int = Field(description="Bytes of optimizer state per fp32 param.")


class LedgerRow(_View):
    """The resources that one optimizer used in one phase."""

    optimizer: str
    phase: Phase
    trials: int
    complete: int
    pruned: int
    diverged: int
    without_result: int = Field(
        description="Number of trials that are queued, running, failed, or "
        "cancelled (those that time stopped "
        "included, with what they used)."
    )
    steps: int
    examples: int
    seconds: float


class GeneralizationGap(_View):
    """The test minus the training value of an optimizer's best finalist over fresh seeds; positive: worse."""

    optimizer: str
    runs: int
    train: float
    test: float
    gap: float
    low: float | None = Field(description="Lower end of the t interval of the mean; null with one run.")
    high: float | None
    level: float
    spread: float | None = Field(description="Standard deviation over the runs; null with one run.")


class SeedStarts(_View):
    """What the trials of one seed started from: of a study, or of a fresh seed."""

    phase: Phase
    number: int = Field(description="Number of the study in search, and of the fresh seed in confirm.")
    trials: int = Field(description="Number of trials with that seed that have a result.")
    without_start: int = Field(description="Number of those that took no step.")
    params: int = Field(description="Number of different params before the first step.")
    gradients: int = Field(description="Number of different first gradients.")
    generators: int = Field(description="Number of different states of the random generators.")
    paired: bool


class Pairing(_View):
    """Whether trials of a person's own function with the same seeds started alike."""

    seeds: list[SeedStarts]
    paired: bool = Field(description="True if the trials of every seed started alike.")
    distinct_params: int = Field(description="Number of different params over all seeds.")
    statement: str


class Analysis(_View):
    """The whole analysis, with one row per optimizer in the order of the spec."""

    metric: str
    direction: Direction
    optimizers: list[str]
    anytime: list[Anytime]
    expected_best: list[ExpectedBest]
    tunability: list[Tunability]
    advice: BudgetAdvice
    sensitivity: list[Sensitivity]
    time_to_target: TimeToTarget | None = Field(
        description="Times to a target; null without complete confirm runs."
    )
    step_cost: list[StepCost]
    ledger: list[LedgerRow]
    generalization: list[GeneralizationGap] = Field(
        description="Gaps of the optimizers with complete confirm runs."
    )
    pairing: Pairing | None = Field(
        default=None,
        exclude_if=lambda pairing: pairing is None,
        description="What the trials started from; absent unless a person's own function was trained.",
    )
    methods: dict[str, str] = Field(description="Method of each part, by its name.")
