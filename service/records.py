"""The records of a job besides its spec: when and how it was trained, and each trial's result."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.states import JobState
from whichopt.service.trials import Trial


class JobFacts(BaseModel):
    """The facts of a job besides its spec: when and how it was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str | None
    queue: str = Field(
        description="Kind of worker that trained it: cpu or cuda; `here-` and its id if its own process did."
    )
    executor: str = Field(
        description="Executor of the job's trials: solo, stacked, guest (a person's own function), or mixed "
        "if labels have different ones (`executors` of the spec)."
    )
    probe: dict[str, float] | None = Field(
        description="Seconds that a step of one trial took, by executor; null unless a probe decided it."
    )
    cut_short: bool = Field(description="True if max_seconds ended the search.")
    concluded_seeds: int | None = Field(
        default=None,
        exclude_if=lambda seeds: seeds is None,
        description="Number of fresh seeds that count, if confirm was ended by request; otherwise absent.",
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RecordedTrial(Trial):
    """A trial, and the place in `environments` of what trained it."""

    environment: int | None = None


MOST_EARLIER = 20
"""Most earlier jobs that are listed."""


class EarlierJob(BaseModel):
    """One of the earlier jobs with the same data, model and metric, as it stood when the later one ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    created_at: datetime
    state: JobState | None = Field(description="State in which it had ended; null if it had not.")
    verdict: str | None = Field(default=None, description="Verdict on configs; null without a conclusion.")
    optimizer: str | None = Field(default=None, description="Label that it recommends.")
    optimizer_verdict: str | None = Field(default=None, description="Verdict on optimizers.")
    optimizer_winner: str | None = Field(default=None, description="Label that wins among optimizers.")


class EarlierJobs(BaseModel):
    """The jobs of this service before a job that had the same data, model and metric.

    No conclusion rests on them. But who asks often enough is told of a winner by luck at some time, so
    whoever reads an answer should know how often it was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=0)
    jobs: list[EarlierJob] = Field(description=f"The newest of them, newest first, {MOST_EARLIER} at most.")
