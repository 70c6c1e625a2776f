"""What else the trials of a job tell, beside its verdict: frozen shapes, JSON-able, all numbers finite.

Values are in the units of the task's metric, in its own direction. `optimizer` is the label everywhere.
A null stands where a number would have nothing behind it; the field says when that is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.states import Direction, Phase, TrialState


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CurvePoint(_View):
    """A mean over studies with its band. Null while some study has no complete trial yet."""

    at: float = Field(description="trials of one study, or its seconds")
    value: float | None
    low: float | None
    high: float | None


class StudyTrace(_View):
    """One study's best value so far: after its first and last trial, and wherever it got better."""

    replicate: int
    trials: list[int]
    seconds: list[float] = Field(description="of all its trials up to this one")
    values: list[float | None] = Field(description="null before the first complete trial")


class Anytime(_View):
    """The best validation value so far in a study, against what the study has cost."""

    optimizer: str
    band: Literal["none", "range", "bootstrap"] = Field(
        description="one study: none; two to four: their lowest and highest; more: bootstrap over studies"
    )
    level: float | None = Field(
        description="of the band: for the mean (bootstrap), for the median study (range)"
    )
    by_trials: list[CurvePoint]
    by_seconds: list[CurvePoint] = Field(description="up to where the shortest study ends")
    studies: list[StudyTrace]


class ExpectedBestPoint(_View):
    """The expected best value of `trials` random trials, given that one of them is complete."""

    trials: int
    unbiased: float | None = Field(description="U-statistic (Tang et al. 2020)")
    plug_in: float | None = Field(description="V-statistic (Dodge et al. 2019): steadier, too pessimistic")
    low: float | None = Field(description="percentile bootstrap over trials of the U-statistic")
    high: float | None
    missing: float = Field(description="probability that none of so many trials is complete (U-statistic)")


class ExpectedBest(_View):
    optimizer: str
    random_trials: int = Field(description="of all studies")
    without_value: int = Field(description="of them, diverged or pruned")
    level: float
    points: list[ExpectedBestPoint] = Field(description="up to half of the random trials")


class Change(_View):
    """A mean difference with its interval; positive is better."""

    mean: float
    low: float | None = Field(description="null where there are too few runs")
    high: float | None
    level: float
    percent: float | None = Field(description="of what it is taken from; null where that is zero")


class Tunability(_View):
    """What tuning gives, and how early (Sivaprasad et al. 2020).

    Areas are weighted means of the expected incumbent over the trials of a study; null where a study could
    be without a complete trial for a while.
    """

    optimizer: str
    area_uniform: float | None
    area_early: float | None = Field(description="weights fall linearly from the first trial to the last")
    default_value: float | None = Field(description="mean on the test split over the fresh seeds")
    tuned_value: float | None = Field(description="the same of the configs that the studies chose")
    gain: Change | None = Field(description="tuned against default, paired by seed")
    gain_over: Literal["studies and seeds", "seeds"] | None = Field(
        description="whose luck the interval counts; one study's own cannot be counted"
    )
    seeds: int = Field(description="fresh seeds that all of its finalists were run with")
    searched_value: float | None = Field(description="validation value of the chosen configs in search, mean")
    confirmed_value: float | None = Field(description="their validation value over the fresh seeds, mean")
    search_optimism: float | None = Field(description="positive: worse when confirmed than when searched")


class AdviceRow(_View):
    optimizer: str
    expected: float | None = Field(
        description="expected incumbent of a study; null where it could be without a complete trial"
    )
    probability_best: float


class AdviceStep(_View):
    trials: int
    optimizer: str | None = Field(description="the best expected incumbent after so many trials")
    rows: list[AdviceRow]


class AdviceRange(_View):
    """Numbers of trials for which the advice is the same."""

    first: int
    last: int
    optimizer: str
    probability_low: float = Field(description="of being best: the lowest in the range")
    probability_high: float
    likelier: list[str] = Field(
        description="others that are, somewhere in the range, more often the best, if worse on average"
    )
    close: list[str] = Field(
        description="others that are at least half as likely to be best, somewhere in the range"
    )


class BudgetAdvice(_View):
    """With how many trials to take which optimizer; never beyond the trials that a study ran."""

    replicates: int
    steps: list[AdviceStep]
    ranges: list[AdviceRange]
    statement: str


class SensitivityPoint(_View):
    lr: float | None
    value: float | None = Field(description="null where the trial is not complete")
    excess: float | None = Field(
        description="how much worse than its study's best, as a share of that; null where that is 0"
    )
    replicate: int
    state: TrialState = Field(description="complete, pruned or diverged")


class Sensitivity(_View):
    """How much depends on the config. Near means within `tolerance` of the best value of the own study."""

    optimizer: str
    tolerance: float
    trials: int
    complete: int
    diverged: int
    pruned: int
    near: int
    share_near: float | None = Field(description="of the complete configs")
    share_diverged: float | None = Field(description="of the trials")
    random_trials: int
    random_share_near: float | None = Field(
        description="of the random trials, whatever became of them: the share of the space that does well"
    )
    near_overall: int = Field(description="complete configs near the best of all optimizers in the replicate")
    lr_decades: float | None = Field(description="between the lowest and the highest lr of near configs")
    lr_low: float | None
    lr_high: float | None
    range_decades: float | None = Field(description="of the range that was searched; null where lr is fixed")
    points: list[SensitivityPoint]


class TargetTimes(_View):
    """When the confirm runs of an optimizer's best finalist first had the target."""

    optimizer: str
    runs: int
    reached: int
    median_steps: int | None = Field(
        description="by then at least half of the runs had it; null where fewer ever had"
    )
    median_examples: int | None
    median_seconds: float | None
    restricted_steps: float = Field(
        description="mean, where a run that never had it counts with the whole budget"
    )
    restricted_seconds: float
    ratio_steps: float | None = Field(description="median to the lowest median; 1 is the fastest")
    ratio_seconds: float | None
    steps: list[int | None] = Field(description="of each run in the order of the seeds; null: never")
    seconds: list[float | None]


class TimeToTarget(_View):
    target: float
    source: Literal["second best", "only optimizer", "given"]
    of: str | None = Field(description="the optimizer whose median it is")
    metric: str = Field(description="the task's metric on the validation split")
    rows: list[TargetTimes]


class StepCost(_View):
    optimizer: str
    trials: int
    ms_per_step: float | None = Field(description="median over trials")
    ms_low: float | None = Field(description="lower quartile")
    ms_high: float | None = Field(description="upper quartile")
    shared: float | None = Field(
        description="share of its trials that were charged what another optimizer's was, to the bit: they "
        "trained in one stack, whose time was split evenly, and tell nothing between the two"
    )
    state_bytes: int = Field(description="bytes of optimizer state per fp32 param")


class LedgerRow(_View):
    """What one optimizer used in one phase."""

    optimizer: str
    phase: Phase
    trials: int
    complete: int
    pruned: int
    diverged: int
    without_result: int = Field(
        description="queued, running, failed, or cancelled (also by time, with what it had used)"
    )
    steps: int
    examples: int
    seconds: float


class GeneralizationGap(_View):
    """Test minus training value of an optimizer's best finalist over its fresh seeds; positive: worse."""

    optimizer: str
    runs: int
    train: float
    test: float
    gap: float
    low: float | None = Field(description="t interval of the mean; null with one run")
    high: float | None
    level: float
    spread: float | None = Field(description="standard deviation over the runs; null with one")


class Analysis(_View):
    """All of it, one row per optimizer in the order of the spec."""

    metric: str
    direction: Direction
    optimizers: list[str]
    anytime: list[Anytime]
    expected_best: list[ExpectedBest]
    tunability: list[Tunability]
    advice: BudgetAdvice
    sensitivity: list[Sensitivity]
    time_to_target: TimeToTarget | None = Field(description="null without complete confirm runs")
    step_cost: list[StepCost]
    ledger: list[LedgerRow]
    generalization: list[GeneralizationGap] = Field(description="of those with complete confirm runs")
    methods: dict[str, str] = Field(description="how each part is made, by its name")
