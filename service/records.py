"""The records of a job besides its spec: when and how it was trained, and each trial's result."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

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
