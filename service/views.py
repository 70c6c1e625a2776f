"""The shapes of all answers, which REST, page, CLI and client share."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.activity import JobActivity
from whichopt.service.recommendations import (
    Cost,
    Difference,
    Finalist,
    Interval,
    JobWarning,
    OptimizerDifference,
    OptimizerVerdict,
    Recommendation,
    Stage,
)
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import JobState, Origin, Phase, TrialState
from whichopt.service.trials import Point

__all__ = [
    "Cost",
    "Difference",
    "Finalist",
    "Interval",
    "JobWarning",
    "OptimizerDifference",
    "OptimizerVerdict",
    "Recommendation",
    "Stage",
]
"""The parts of a recommendation, which stand in a file of their own."""


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


Item = TypeVar("Item")


class Unreadable(_View):
    """A stored row that this version cannot read: it is damaged, or a newer version wrote it."""

    id: str
    name: str | None
    problem: str


class Page(_View, Generic[Item]):
    """A part of a list. `cursor` asks for the next part, and is null at the end."""

    items: list[Item]
    unreadable: list[Unreadable] = Field(
        default=[], description="Rows of this part that cannot be read, each with its problem."
    )
    cursor: str | None = None


class ConfirmProgress(_View):
    """The progress of confirm, which adds fresh seeds in stages while the outcome is open."""

    seeds_done: int = Field(description="Number of fresh seeds that every finalist has run with.")
    seeds_planned: int = Field(description="Number of seeds finished or planned in the current stage.")
    seeds_most: int = Field(description="Most fresh seeds (`budget.confirm_seeds`).")
    looks: list[int] = Field(description="Number of fresh seeds after each stage.")


class Progress(_View):
    """The progress of a job.

    `trials_total` counts the trials that are known to be needed: it grows with each planned stage of confirm,
    and during a search that is given minutes. `confirm` is null while the job searches.
    """

    trials_done: int
    trials_total: int
    cohorts_running: int
    examples: int = Field(description="Number of examples seen so far, running trials included.")
    confirm: ConfirmProgress | None = None


class LedgerEntry(_View):
    """The resources that one optimizer has used so far; they show that the budgets are equal."""

    optimizer: str
    trials: int
    trials_total: int
    pruned: int
    diverged: int
    steps: int
    examples: int
    seconds: float
    best_value: float | None = Field(description="Best search value so far, on the validation split.")


class JobError(_View):
    code: str
    detail: str


class LintFinding(_View):
    """A common mistake in a spec or a setting, found before anything is trained."""

    code: str
    severity: Literal["error", "warning", "note"]
    field: str | None = Field(description='Path in the spec, such as "optimizers.0.space.lr".')
    what: str
    why: str = Field(description="Reason why that matters, with its source.")
    instead: str = Field(description="Advice on what to do instead.")


class LintReport(_View):
    findings: list[LintFinding]


class Translation(_View):
    """A setting of one optimizer translated to the nearest one of another; `config` has torch's own form."""

    source: str
    target: str
    given: dict[str, Any]
    config: dict[str, Any]
    exactness: Literal["exact", "rounding", "limit", "approximate"]
    why: list[str] = Field(description="Reasons for the translation, one for each step of `path`.")
    warnings: list[str]
    path: list[str] = Field(description="Optimizers on the way from source to target.")


class JobView(_View):
    id: str
    name: str | None
    state: JobState
    phase: Phase | None
    spec: ResolvedSpec
    queue: str = Field(description="Kind of worker that trains the job: cpu or cuda.")
    executor: Literal["solo", "stacked", "mixed"] | None = Field(
        description="Executor of the job's trials: solo, stacked, or mixed if labels have different ones "
        "(`executors` of the spec); null until its first round is planned."
    )
    probe: dict[str, float] | None = Field(
        description="Seconds that a step of one trial took, by executor; null unless a probe decided it."
    )
    progress: Progress
    ledger: list[LedgerEntry]
    activity: JobActivity | None = Field(
        default=None,
        description="Current activity of the job, or the reason for its wait; null once it has ended.",
    )
    waiting_for: str | None = Field(
        description="Copy of `activity.detail` while no worker can take the job; otherwise null."
    )
    error: JobError | None
    lint: list[LintFinding] = Field(default=[], description="Common mistakes found in the spec.")
    revision: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TrialView(_View):
    """A trial; `config` has torch's own form (`betas`)."""

    id: str
    optimizer: str = Field(description="Label of the optimizer.")
    phase: Phase
    origin: Origin
    replicate: int | None
    number: int
    state: TrialState
    config: dict[str, Any]
    value: float | None
    metrics: dict[str, dict[str, float]]
    curve: list[Point] | None = Field(
        description="Curve of the selection metric on the validation split; null in events without `curves`."
    )
    steps: int
    examples: int
    seconds: float
    revision: int


class SearchForecast(_View):
    """The state of one optimizer's search, and the gain to expect from its remaining trials."""

    optimizer: str
    trials: int = Field(description="Number of trials with a result.")
    trials_left: int
    best_value: float | None = Field(description="Best search value so far, on the validation split.")
    probability_better: float | None = Field(
        description="Probability that a remaining trial beats the best one of "
        "its study, in at least one study; "
        "null if it cannot be estimated."
    )
    expected_best: float | None = Field(
        description="Best search value to expect after all trials; null if it cannot be estimated."
    )


class ConfirmForecast(_View):
    """The state of confirm, and the changes to expect from more fresh seeds."""

    seeds: int = Field(description="Number of fresh seeds that every finalist has run with.")
    most: int
    looks: list[int]
    pick: str | None = Field(
        description="Optimizer that would be recommended now; null if every "
        "finalist has diverged on a fresh seed."
    )
    verdict: Literal["winner", "tie", "nothing"]
    probability_best: dict[str, float] = Field(
        description="Probability of being the best now, by label; empty without a pick."
    )
    stops: str | None = Field(description="Reason why no more seeds are needed; null if they are.")
    next_seeds: int | None = Field(
        description="Number of fresh seeds until the next look; null after the last one."
    )
    next_seconds: float | None = Field(
        description="Seconds that these seeds take, at the time per seed so far."
    )
    winner_next: float | None = Field(description="Probability that the next look names a winner.")
    winner_end: float | None = Field(description="Probability that a winner is named by the last look.")
    pick_changes: float | None = Field(description="Probability that the next look picks another optimizer.")
    expected_probability_best: float | None = Field(
        description="Expected probability that the pick of the next look is the best."
    )


class Forecast(_View):
    """The forecast of a running job: `search` while it searches, `confirm` once a fresh seed is done."""

    phase: Phase
    search: list[SearchForecast]
    confirm: ConfirmForecast | None
    statement: str


class JobForecast(Forecast):
    """The forecast of a job, with wall-clock times estimated from its recorded seconds.

    Once the job has ended the statement says so, and the rest is its last forecast.
    """

    job_id: str
    state: JobState
    round: int | None = Field(
        default=None,
        description="Last round whose results it is based on, counted from 1. "
        "Results of a round that still runs "
        "only count in seconds_left and seconds_per_seed. Null before the first round has ended, when all "
        "results so far count.",
    )
    seconds_per_seed: float | None = Field(
        description="Wall-clock seconds of one fresh seed of all finalists; null before the first result."
    )
    seconds_left: float | None = Field(
        description="Seconds that the job takes after its last result if all "
        "fresh seeds run; null before the "
        "first result and after the job's end."
    )


class HyperparameterView(_View):
    name: str
    default: Any
    space: dict[str, Any]


class CatalogEntry(_View):
    """An entry of the catalog; `details` depend on its kind."""

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
    workers: dict[str, int] = Field(description="Number of live training processes, by queue.")


class FieldProblem(_View):
    """A problem with one field; `field` is its path in the body, such as "optimizers.0.space.lr"."""

    field: str | None
    value: Any = Field(default=None, description="Value that was sent, shortened.")
    allowed: Any = None
    nearest: str | None = Field(default=None, description="Allowed value that was probably meant.")
    detail: str


class Problem(_View):
    """A problem document (RFC 9457); `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] = []
