"""What we answer: the shapes that REST, page, CLI and client show alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from service.activity import JobActivity
from service.spec import Margin, ResolvedSpec
from service.states import Direction, JobState, Origin, Phase, TrialState
from service.trials import Point


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


Item = TypeVar("Item")


class Page(_View, Generic[Item]):
    """Part of a list; `cursor` asks for the part after it, and is null at the end."""

    items: list[Item]
    cursor: str | None = None


class ConfirmProgress(_View):
    """Fresh seeds are added in stages, as long as the outcome is open."""

    seeds_done: int = Field(description="fresh seeds that every finalist has been run with")
    seeds_planned: int = Field(description="those, and the ones of the stage that runs")
    seeds_most: int = Field(description="budget.confirm_seeds")
    looks: list[int] = Field(description="fresh seeds after each stage")


class Progress(_View):
    """`trials_total` counts what is known to be asked for: it grows with each stage of confirm that is
    planned, and in a search that is given minutes. `confirm` is null while the job searches."""

    trials_done: int
    trials_total: int
    cohorts_running: int
    examples: int = Field(description="seen so far, by running trials too")
    confirm: ConfirmProgress | None = None


class LedgerEntry(_View):
    """What one optimizer has used so far. Equal budgets can be checked here."""

    optimizer: str
    trials: int
    trials_total: int
    pruned: int
    diverged: int
    steps: int
    examples: int
    seconds: float
    best_value: float | None = Field(description="the best searched value so far, on the validation split")


class JobError(_View):
    code: str
    detail: str


class LintFinding(_View):
    """Something in a spec or a setting that users often get wrong, found before anything is trained."""

    code: str
    severity: Literal["error", "warning", "note"]
    field: str | None = Field(description='its path in the spec, as in "optimizers.0.space.lr"')
    what: str
    why: str = Field(description="why that matters, with its source")
    instead: str = Field(description="what to do instead")


class LintReport(_View):
    findings: list[LintFinding]


class Translation(_View):
    """A setting of one optimizer as the nearest one of another; `config` has torch's own form."""

    source: str
    target: str
    given: dict[str, Any]
    config: dict[str, Any]
    exactness: Literal["exact", "rounding", "limit", "approximate"]
    why: list[str] = Field(description="what makes it so, step by step of `path`")
    warnings: list[str]
    path: list[str] = Field(description="the optimizers that it was translated through")


class JobView(_View):
    id: str
    name: str | None
    state: JobState
    phase: Phase | None
    spec: ResolvedSpec
    queue: str = Field(description="the kind of worker that trains it: cpu or cuda")
    executor: str | None = Field(description="settled when the job is first planned")
    probe: dict[str, float] | None = Field(
        description="seconds that a step of one trial took, by executor, where that settled it"
    )
    progress: Progress
    ledger: list[LedgerEntry]
    activity: JobActivity | None = Field(
        default=None, description="what it does or waits for right now; null once it has ended"
    )
    waiting_for: str | None = Field(description="`activity.detail` while no worker can take the job")
    error: JobError | None
    lint: list[LintFinding] = Field(description="what users often get wrong, found in the spec")
    revision: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TrialView(_View):
    """`config` has torch's own form (`betas`)."""

    id: str
    optimizer: str = Field(description="the label")
    phase: Phase
    origin: Origin
    replicate: int | None
    number: int
    state: TrialState
    config: dict[str, Any]
    value: float | None
    metrics: dict[str, dict[str, float]]
    curve: list[Point] | None = Field(
        description="the selection metric on the validation split; null in events without `curves`"
    )
    steps: int
    examples: int
    seconds: float
    revision: int


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
    """One optimizer in the ranking: its best finalist, and what it cost to find."""

    optimizer: str
    config: dict[str, Any]
    replicate: int | None = Field(description="the study that found the config; null for the default setting")
    value: Interval = Field(description="on the test split, over the fresh seeds")
    default_value: Interval
    searched_value: float | None = Field(
        description="the config's validation value in search, which is the luckier one"
    )
    confirmed_validation: float | None = Field(
        description="the same config's mean validation value over the fresh seeds"
    )
    probability_best: float
    difference: Difference
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
    mean: float
    low: float | None
    high: float | None
    percent: float | None = None


class OptimizerVerdict(_View):
    """Of tuned optimizers at this budget: the unit is a study. Null with one replicate."""

    verdict: Literal["winner", "tie"] | None
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
    """The conclusion of a job: which config to deploy, how sure, against whom, at what cost."""

    job_id: str
    task: str
    dataset: str
    model: str
    verdict: Literal["winner", "tie"]
    optimizer: str
    config: dict[str, Any]
    question: Literal["config"] = "config"
    statement: str = Field(description="the verdict in a sentence")
    optimizer_verdict: OptimizerVerdict
    metric: str
    direction: Direction
    value: Interval
    probability_best: float
    equivalent: list[str] = Field(description="optimizers that cannot be told from the best; all, in a tie")
    ranking: list[Finalist]
    cost: Cost
    warnings: list[JobWarning]
    snippet: str
    margin: Margin | None = Field(default=None, description="as the spec set it")
    practically_equivalent: list[str] | None = Field(
        default=None,
        description="optimizers whose best finalist is shown to be within the margin of the best finalist; "
        "null where no margin was set",
    )
    stage: Stage | None = None


class SearchForecast(_View):
    """Where one optimizer's search stands, and what its remaining trials may bring."""

    optimizer: str
    trials: int = Field(description="that have a result")
    trials_left: int
    best_value: float | None = Field(description="the best searched value so far, on the validation split")
    probability_better: float | None = Field(
        description="that a remaining trial beats the best of its study in at least one study; null where "
        "nothing tells"
    )
    expected_best: float | None = Field(
        description="the best searched value to expect once all trials are done; null where nothing tells"
    )


class ConfirmForecast(_View):
    """Where confirm stands, and what more fresh seeds would be expected to change."""

    seeds: int = Field(description="fresh seeds that every finalist has been run with")
    most: int
    looks: list[int]
    pick: str = Field(description="what would be recommended now")
    verdict: Literal["winner", "tie"]
    probability_best: dict[str, float] = Field(description="of being best now, by label")
    stops: str | None = Field(description="why no more seeds are needed, where that is so")
    next_seeds: int | None = Field(description="fresh seeds that the next look adds; null after the last")
    next_seconds: float | None = Field(description="what they take, at the seconds a seed has taken so far")
    winner_next: float | None = Field(description="probability that the next look names a winner")
    winner_end: float | None = Field(description="probability that the last look would name a winner")
    pick_changes: float | None = Field(description="probability that the next look picks another optimizer")
    expected_probability_best: float | None = Field(
        description="what the pick's probability of being best is expected to be at the next look"
    )


class Forecast(_View):
    """What a running job may still tell: `search` while it searches, `confirm` once a fresh seed is done."""

    phase: Phase
    search: list[SearchForecast]
    confirm: ConfirmForecast | None
    statement: str


class JobForecast(Forecast):
    """A job's forecast, with what it takes by the clock as its recorded seconds have it. Once the job has
    ended the statement says so, and the rest is how it stood then."""

    job_id: str
    state: JobState
    round: int | None = Field(
        default=None,
        description="the last round whose results are in it, counted from 1: results of a round that still "
        "runs count in seconds_left and seconds_per_seed only; null before the first round has ended, when "
        "it is of all results so far",
    )
    seconds_per_seed: float | None = Field(
        description="what one fresh seed of all finalists takes by the clock; null before the first result"
    )
    seconds_left: float | None = Field(
        description="what the job takes from its last result on, if all fresh seeds are run; null before the "
        "first result and after the job's end"
    )


class HyperparameterView(_View):
    name: str
    default: Any
    space: dict[str, Any]


class CatalogEntry(_View):
    """An entry of the catalog, in the form that its kind has."""

    name: str
    title: str
    details: dict[str, Any]


class Health(_View):
    status: Literal["ok"] = "ok"
    version: str


class Readiness(_View):
    status: Literal["ready"] = "ready"
    database: str
    broker: str
    workers: dict[str, int] = Field(description="live training processes by queue")


class FieldProblem(_View):
    """What is wrong with one field; `field` is its path in the body, as in "optimizers.0.space.lr"."""

    field: str | None
    value: Any = Field(default=None, description="what was sent, shortened")
    allowed: Any = None
    nearest: str | None = Field(default=None, description="the allowed value that was probably meant")
    detail: str


class Problem(_View):
    """A problem document (RFC 9457); `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] = []
