"""The views of a job and of its trials: their state, their progress, and what was used."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from whichopt.service.activity import JobActivity
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import JobState, Origin, Phase, TrialState
from whichopt.service.trials import Point, Sample
from whichopt.service.views.checks import LintFinding
from whichopt.service.views.verdict import JobVerdict
from whichopt.service.views.view import View


class ConfirmProgress(View):
    """The progress of confirm, which adds fresh seeds in stages while the outcome is open."""

    seeds_done: int = Field(description="Number of fresh seeds that all planned runs have ended on.")
    seeds_planned: int = Field(description="Number of seeds finished or planned in the current stage.")
    seeds_most: int = Field(description="Most fresh seeds of a config.")
    looks: list[int] = Field(description="Number of fresh seeds after each stage.")


class Progress(View):
    """The progress of a job.

    `trials_total` counts the trials that are known to be needed: it grows with each planned stage of confirm,
    and during a search that is given minutes. `confirm` is null while the job searches.
    """

    trials_done: int
    trials_total: int
    trials_running: int = Field(default=0, description="Number of trials that run now.")
    cohorts_running: int
    examples: int = Field(
        description="Number of examples seen so far, running trials included; of a person's own function, "
        "epochs."
    )
    confirm: ConfirmProgress | None = None


class LedgerEntry(View):
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


class JobError(View):
    code: str
    detail: str


class JobView(View):
    id: str
    name: str | None
    state: JobState
    phase: Phase | None
    spec: ResolvedSpec
    queue: str = Field(
        description="Kind of worker that trains the job: cpu or cuda; `here-` and its id if the process that "
        "made it does."
    )
    executor: Literal["solo", "stacked", "guest", "mixed"] | None = Field(
        description="Executor of the job's trials: solo, stacked, guest (a person's own function), or mixed "
        "if labels have different ones (`executors` of the spec); null until its first round is planned."
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
    verdict: JobVerdict | None = Field(
        default=None, description="Verdict in short; null before the job has concluded."
    )
    odds: dict[str, float] | None = Field(
        default=None,
        description="Probability of having the best config, by label: that of the verdict, or while the job "
        "runs, as of its last round (in search, the chance to lead at its end). Null while nothing tells, "
        "and if no config can be deployed.",
    )
    concluded_seeds: int | None = Field(
        default=None,
        exclude_if=lambda seeds: seeds is None,
        description="Number of fresh seeds that count, if confirm was ended by request; otherwise absent.",
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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Return what a notebook shows: the verdict or where the job stands, its ledger, and who leads."""
        from whichopt.service.figures.figure import Metric
        from whichopt.service.figures.shown import Used, job_bundle
        from whichopt.service.figures.tones import tones

        return job_bundle(
            self._sentence(),
            [Used(row.optimizer, row.trials, row.trials_total, row.best_value) for row in self.ledger],
            self.odds,
            Metric(self.spec.goal.metric, self.spec.goal.direction),
            tones(
                {
                    **{row.optimizer: row.optimizer for row in self.ledger},
                    **{one.label: one.name for one in self.spec.optimizers},
                }
            ),
        )

    def _sentence(self) -> str:
        """Say where the job stands, and what it has found."""
        name = self.name or self.id
        if self.verdict is not None:
            said = {"winner": "winner", "tie": "no clear winner"}.get(
                self.verdict.verdict, "nothing to deploy"
            )
            return f"{name} ({said}): {self.verdict.headline}. {self.verdict.statement}"
        name = f"{name} ({self.state})"
        if self.error is not None:
            return f"{name}: {self.error.detail}"
        done = f"{self.progress.trials_done:,} of {self.progress.trials_total:,} trials are done"
        return f"{name}: {done}." + ("" if self.activity is None else f" {self.activity.detail}")


class TrialView(View):
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


class SampleView(View):
    """What one finalist's network has made on the first fresh seed, for people to look at."""

    trial: str = Field(description="Id of the trial that trained it.")
    optimizer: str = Field(description="Label of the optimizer.")
    origin: Origin
    replicate: int | None = Field(
        description="Number of the study that chose the config; null for a default and for today's config."
    )
    config: dict[str, Any]
    sample: Sample
