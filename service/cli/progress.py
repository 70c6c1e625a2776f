"""Shows a running job: a bar for each optimizer, and what the job does or waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from whichopt.service.activity import JobActivity
from whichopt.service.views import JobForecast, JobView

LONG_S = 2
"""Seconds after which a terminal shows for how long the activity has not changed."""

OWN_WORKER = "The worker is starting, which takes a few seconds."


class _Progress(Progress):
    """The bars, and below them what the job does or waits for, with the seconds that it has taken so far."""

    activity: JobActivity | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        activity = self.activity  # once: this runs in a thread of its own, and may change meanwhile
        if activity is None:
            return
        seconds = (datetime.now(UTC) - activity.since).total_seconds() if activity.since else 0
        yield Text(
            activity.detail + (f" ({seconds:.0f} s)" if seconds >= LONG_S else ""),
            style="yellow" if activity.what == "worker" else "dim",
        )


class Bars:
    """A bar for each optimizer of a running job; `update` takes the job as it is now.

    If a `forecast` is given, its statement is printed after each stage of confirm but the last. With
    `own_worker`, the caller has started a worker for the job, so nobody is told to start one.
    """

    def __init__(
        self,
        console: Console,
        forecast: Callable[[str], JobForecast] | None = None,
        *,
        own_worker: bool = False,
    ) -> None:
        self.forecast = forecast
        self.own_worker = own_worker
        self._forecast_at = 0
        self.progress = _Progress(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(min_width=14, max_width=24, overflow="fold"),
            ),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}
        self._printed: str | None = None

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.activity = None
        self.progress.stop()

    def update(self, job: JobView) -> None:
        if self.own_worker and job.activity is not None and job.activity.what == "worker":
            starting = job.activity.model_copy(update={"detail": OWN_WORKER})
            job = job.model_copy(update={"activity": starting})
        self.progress.activity = job.activity
        self._print(job)
        self._foretell(job)
        for entry in job.ledger:
            best = "" if entry.best_value is None else f"best {entry.best_value:.4g}"
            dropped = f", {entry.pruned} pruned" if entry.pruned else ""
            if entry.optimizer not in self._bars:
                self._bars[entry.optimizer] = self.progress.add_task(entry.optimizer, note="")
            self.progress.update(
                self._bars[entry.optimizer],
                completed=entry.trials,
                total=entry.trials_total,
                note=f"{best}{dropped}",
            )

    def _print(self, job: JobView) -> None:
        """Print a line when the job's activity changes; in a log, which shows no bars, its sentence too."""
        console = self.progress.console
        live = console.is_terminal and not console.is_dumb_terminal
        phase = "waiting for its first round" if job.phase is None else job.phase.value
        now = phase if live or job.activity is None else job.activity.detail
        line = f"{job.state.value}: {now}"
        if line != self._printed:
            self.progress.console.print(Text(line, style="dim"))
            self._printed = line

    def _foretell(self, job: JobView) -> None:
        confirm = job.progress.confirm
        if self.forecast is None or confirm is None or job.state.ended:
            return
        ended = [seeds for seeds in confirm.looks[:-1] if self._forecast_at < seeds <= confirm.seeds_done]
        if ended:
            self._forecast_at = ended[-1]
            self.progress.console.print(Text(self.forecast(job.id).statement, style="dim"))
