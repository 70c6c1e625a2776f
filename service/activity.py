"""Says in a sentence what a job does right now or waits for, so that no wait looks like a hang."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.states import Phase

What = Literal["worker", "queue", "planning", "kernel", "training"]


class JobActivity(BaseModel):
    model_config = ConfigDict(frozen=True)

    what: What = Field(
        description="Kind of activity. `worker`: no worker is live for the job's queue, or none of them has "
        "its function; `queue`: other jobs are served first; `planning`: its next round is being planned, or "
        "the job is being concluded; `kernel`: a planner is compiling the optimizers' kernel; "
        "`training`: its cohorts are being trained."
    )
    since: datetime | None = Field(description="Time at which that began; null if it is not recorded.")
    detail: str = Field(description="The same in a sentence.")

    @property
    def tag(self) -> str:
        """The part of an ETag for changes by other jobs and workers, as they change no revision."""
        apart = self.what in ("worker", "queue")
        return f"-{self.what}-{zlib.crc32(self.detail.encode()):08x}" if apart else ""


@dataclass(frozen=True)
class ActiveJob:
    """The records of an active job and of the workers that could work on it.

    `running` and `queued` count the job's cohorts; `ahead` counts cohorts of other jobs that were queued
    earlier. `live` counts training processes by queue; `busy` counts those of the job's queue that are
    training, and `planners_busy` counts the `planners` that are training.
    """

    queue: str
    round: int
    phase: Phase | None
    cancel_requested: bool
    running: int
    queued: int
    ahead: int
    since: datetime
    training_since: datetime | None
    compiling_since: datetime | None
    live: Mapping[str, int]
    busy: int
    planners: int
    planners_busy: int
    lacking: str | None = None
    """The function that the job is about, if no live worker of its queue offers it."""
    in_process: bool = False
    """True if the process that made the job trains it, and no worker does."""


def activity(job: ActiveJob) -> JobActivity:
    """Return what the job does or waits for."""
    if job.running:
        return JobActivity(what="training", since=job.training_since, detail=_training(job))
    if not job.live.get(job.queue):
        return JobActivity(what="worker", since=job.since, detail=_no_worker(job))
    if job.lacking is not None and (job.queued or job.round == 0):
        return JobActivity(what="worker", since=job.since, detail=_no_function(job, job.lacking))
    if job.queued:
        return JobActivity(what="queue", since=job.since, detail=_queued(job))
    if job.compiling_since is not None:
        detail = (
            "Compiling the optimizers' kernel for this machine. This takes about 20 s per kernel and happens "
            "only once."
        )
        return JobActivity(what="kernel", since=job.compiling_since, detail=detail)
    what = "the first round" if job.round == 0 else f"round {job.round + 1}, or the conclusion"
    if job.planners_busy >= job.planners:
        busy = (
            "the only worker process is training a cohort of another job"
            if job.planners == 1
            else f"all {job.planners} worker processes are training cohorts of other jobs"
        )
        return JobActivity(
            what="queue", since=job.since, detail=f"Waiting for a free process to plan {what}: {busy}."
        )
    return JobActivity(what="planning", since=job.since, detail=f"Planning {what}.")


def _training(job: ActiveJob) -> str:
    if job.cancel_requested:
        return f"Cancelling: {_count(job.running, 'cohort')} in training will stop within an epoch."
    more = f", and {job.queued} more in the queue" if job.queued else ""
    return f"Training {_count(job.running, 'cohort')} of round {job.round} ({job.phase}){more}."


def _no_worker(job: ActiveJob) -> str:
    if job.in_process:
        return (
            "Waiting for the process that made it: it is planning, or it has ended; run its cell or script "
            "again, and the job goes on."
        )
    others = ", ".join(f"{count} for {queue}" for queue, count in sorted(job.live.items()))
    running = f"none is running for {job.queue} (running: {others})" if others else "none is running"
    return (
        f"Waiting for a worker: {running}. A worker that has just started needs a few seconds; otherwise "
        f"start one with `python -m whichopt.workers --queue {job.queue}`."
    )


def _no_function(job: ActiveJob, function: str) -> str:
    return (
        f"Waiting for a worker that has {function}: none that is running for {job.queue} offers it. A worker "
        "that has just started needs a few seconds to say what it has; otherwise set WHICHOPT_ALLOW for a "
        "worker that can import the function. If a worker allows it already, its log says why it cannot be "
        "imported there (function_not_offered)."
    )


def _queued(job: ActiveJob) -> str:
    if job.ahead or job.busy >= job.live.get(job.queue, 0):
        ahead = f"{_count(job.ahead, 'cohort')} of other jobs ahead" if job.ahead else "next in line"
        return (
            f"Waiting in the queue for {job.queue}: {ahead}; {job.busy} of "
            f"{_count(job.live.get(job.queue, 0), 'process', 'es')} training."
        )
    return f"Waiting for a worker process to begin {_count(job.queued, 'cohort')} of round {job.round}."


def _count(number: int, name: str, plural: str = "s") -> str:
    return f"{number} {name}{'' if number == 1 else plural}"
