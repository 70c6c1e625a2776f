"""What is recorded of a job besides its spec: when and how it was trained, and what each trial gave."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.trials import Trial


class JobFacts(BaseModel):
    """What the job itself adds to its spec: when, and how it was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str | None
    queue: str = Field(description="the kind of worker that trained it: cpu or cuda")
    executor: str
    probe: dict[str, float] | None = Field(
        description="seconds that a step of one trial took, by executor, where that settled it"
    )
    cut_short: bool = Field(description="max_seconds ended the search")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RecordedTrial(Trial):
    """A trial, and the place in `environments` of what trained it."""

    environment: int | None = None
