"""What we answer: the shapes that REST, page, CLI and client show alike."""

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
"""The parts of a recommendation, which have a file of their own."""


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


Item = TypeVar("Item")


class Unreadable(_View):
    """A row that is kept, and that this version cannot read: damaged, or written by a newer version."""

    id: str
    name: str | None
    problem: str


class Page(_View, Generic[Item]):
    """Part of a list; `cursor` asks for the part after it, and is null at the end."""

    items: list[Item]
    unreadable: list[Unreadable] = Field(
        default=[], description="rows of this part that cannot be read, with what is in the way"
    )
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
    lint: list[LintFinding] = Field(default=[], description="what users often get wrong, found in the spec")
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
    pick: str | None = Field(
        description="what would be recommended now; null if every finalist has diverged on a fresh seed"
    )
    verdict: Literal["winner", "tie", "nothing"]
    probability_best: dict[str, float] = Field(
        description="of being best now, by label; empty without a pick"
    )
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
