"""How the command line shows jobs: progress bars while they run, tables when they have ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from service.states import JobState
from service.translations import MEANING
from service.views import (
    CatalogEntry,
    Interval,
    JobForecast,
    JobView,
    JobWarning,
    LintFinding,
    Recommendation,
    Translation,
    TrialView,
)

WIDE = 100
"""Columns from which on a terminal shows all that a table has."""


class Bars:
    """One bar an optimizer, for a running job; `update` takes the job as it stands now.

    After each stage of confirm but the last a line of its `forecast` follows, where one is given.
    """

    def __init__(self, console: Console, forecast: Callable[[str], JobForecast] | None = None) -> None:
        self.forecast = forecast
        self._forecast_at = 0
        self.progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}
        self._said: str | None = None

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, job: JobView) -> None:
        phase = "waits for its first round" if job.phase is None else job.phase.value
        saying = (job.waiting_for and f"waiting for {job.waiting_for}") or phase
        if saying != self._said:
            self.progress.console.print(Text(f"{job.state.value}: {saying}", style="dim"))
            self._said = saying
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

    def _foretell(self, job: JobView) -> None:
        confirm = job.progress.confirm
        if self.forecast is None or confirm is None or job.state.ended:
            return
        ended = [seeds for seeds in confirm.looks[:-1] if self._forecast_at < seeds <= confirm.seeds_done]
        if ended:
            self._forecast_at = ended[-1]
            self.progress.console.print(Text(self.forecast(job.id).statement, style="dim"))


def job_table(jobs: Sequence[JobView]) -> Table:
    table = Table(
        Column("id", no_wrap=True, min_width=36),
        "name",
        "workload",
        "state",
        "phase",
        "trials",
        "created",
        box=None,
        pad_edge=False,
    )
    for job in jobs:
        workload = f"{job.spec.workload.dataset.name}/{job.spec.workload.model.name}"
        table.add_row(
            job.id,
            job.name or "",
            workload,
            _colored(job.state),
            job.phase or "",
            f"{job.progress.trials_done}/{job.progress.trials_total}",
            f"{job.created_at:%Y-%m-%d %H:%M:%S}",
        )
    return table


def job_summary(job: JobView) -> RenderableType:
    table = Table(
        "optimizer",
        "trials",
        "pruned",
        "diverged",
        "steps",
        "examples",
        "seconds",
        "best (validation)",
        box=None,
    )
    for entry in job.ledger:
        table.add_row(
            entry.optimizer,
            f"{entry.trials}/{entry.trials_total}",
            str(entry.pruned),
            str(entry.diverged),
            f"{entry.steps:,}",
            f"{entry.examples:,}",
            f"{entry.seconds:.1f}",
            "" if entry.best_value is None else f"{entry.best_value:.5g}",
        )
    lines: list[RenderableType] = [job_table([job]), Text(), table]
    lines += [Text(line) for line in _budget_lines(job)]
    if job.waiting_for:
        lines.append(Text(f"waits for {job.waiting_for}", style="yellow"))
    if job.error:
        lines.append(Text(f"{job.error.code}: {job.error.detail}", style="red"))
    return Group(*lines)


def _budget_lines(job: JobView) -> list[str]:
    """What the minutes came to, and how far confirm is."""
    settled, confirm = job.spec.budget.settled, job.progress.confirm
    lines = []
    if settled is not None:
        trials = ", ".join(
            f"{label} {count} ({settled.step_ms[label]:.3g} ms a step)"
            for label, count in settled.trials.items()
        )
        lines.append(
            f"{job.spec.budget.minutes:g} minutes were settled as {settled.search_seconds:.3g} s of search "
            f"for each optimizer, trials: {trials}; and {job.spec.budget.confirm_seeds} fresh seeds at most"
        )
    if confirm is not None:
        lines.append(f"confirm: {confirm.seeds_done} of at most {confirm.seeds_most} fresh seeds")
    return lines


def forecast_tables(found: JobForecast) -> RenderableType:
    """What is left of each search; in confirm, how probably each optimizer is the best."""
    lines: list[RenderableType] = []
    if found.confirm is None:
        table = Table("optimizer", "trials", "left", "best so far", "P(better)", "expected best", box=None)
        for row in found.search:
            table.add_row(
                row.optimizer,
                str(row.trials),
                str(row.trials_left),
                _number(row.best_value),
                _number(row.probability_better, ".2f"),
                _number(row.expected_best),
            )
    else:
        confirm = found.confirm
        table = Table("optimizer", Column("P(best) now", justify="right"), box=None)
        for label, probability in sorted(confirm.probability_best.items(), key=lambda item: -item[1]):
            style = "bold" if label == confirm.pick else ""
            table.add_row(Text(label, style=style), f"{probability:.2f}")
        if confirm.next_seeds is not None:
            minutes = None if confirm.next_seconds is None else confirm.next_seconds / 60
            expected = _number(confirm.expected_probability_best, ".2f") or "unknown"
            lines.append(
                Text(
                    f"the next {confirm.next_seeds} seeds ({_number(minutes, '.2g') or '?'} minutes): a "
                    f"winner with probability {_number(confirm.winner_next, '.2f') or 'unknown'}, another "
                    f"pick with {_number(confirm.pick_changes, '.2f') or 'unknown'}; P(best) of the pick "
                    f"then, on the average: {expected}"
                )
            )
    return Group(table, Text(), *lines, Text(found.statement))


def trial_table(trials: Sequence[TrialView]) -> Table:
    table = Table("optimizer", "phase", "study", "no.", "origin", "state", "value", "config", box=None)
    for trial in trials:
        table.add_row(
            trial.optimizer,
            trial.phase.value,
            "" if trial.replicate is None else str(trial.replicate),
            str(trial.number),
            trial.origin.value,
            trial.state.value,
            "" if trial.value is None else f"{trial.value:.5g}",
            config_text(trial.config),
        )
    return table


def recommendation_panel(found: Recommendation, *, width: int) -> RenderableType:
    """The ranking and the verdicts; what it cost per optimizer only where `width` has room for it."""
    ranking = Table(
        *(Column(title, no_wrap=True) for title in ("optimizer", f"test {found.metric}", "behind the best")),
        *(Column(title, no_wrap=True, justify="right") for title in ("P(best)", "default")),
        title=f"{found.dataset}/{found.model}: {found.metric}, {found.direction.value}; "
        f"{found.value.seeds} fresh seeds, {found.value.level:.0%} simultaneous intervals",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    costs = ("trials", "steps", "train s") if width >= WIDE else ()
    for title in costs:
        ranking.add_column(title, justify="right", no_wrap=True)
    for row in found.ranking:
        behind = "" if row.difference.mean == 0 else f"{row.difference.mean:.3g}"
        if behind and row.difference.low is not None and row.difference.high is not None:
            behind += f" [{row.difference.low:.3g}, {row.difference.high:.3g}]"
        cells = (
            f"{row.value.mean:.4g} {_interval(row.value)}",
            behind,
            f"{row.probability_best:.2f}",
            f"{row.default_value.mean:.4g}",
            *(str(row.trials), f"{row.steps:,}", f"{row.seconds:.1f}")[: len(costs)],
        )
        ranking.add_row(Text(row.optimizer, style="bold" if row.optimizer == found.optimizer else ""), *cells)
    cost = (
        f"{found.cost.trials} trials, {found.cost.steps:,} steps, {found.cost.examples:,} examples, "
        f"{found.cost.seconds:.1f} s of training"
    )
    about = Table.grid(padding=(0, 2))
    about.add_row("config", f"{found.verdict}: {found.statement}")
    about.add_row(
        "optimizer", f"{found.optimizer_verdict.verdict or 'no verdict'}: {found.optimizer_verdict.statement}"
    )
    about.add_row("deploy", Text(f"{found.optimizer} {config_text(found.config)}", style="bold green"))
    value = f"{found.metric} {found.value.mean:.5g} {_interval(found.value)}"
    about.add_row("value", f"{value}, P(best) {found.probability_best:.2f}")
    about.add_row("cost", cost)
    for warning in found.warnings:
        about.add_row(Text("note", style="yellow"), _of(warning))
    return Group(
        ranking,
        Text(),
        Panel(about, title="Recommendation", title_align="left"),
    )


def config_text(config: dict[str, Any]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in config.items())


def recommendation_table(found: Sequence[Recommendation]) -> Table:
    table = Table(
        Column("job", no_wrap=True, min_width=36),
        "workload",
        "verdict",
        "optimizer",
        "value",
        "config",
        box=None,
    )
    for one in found:
        table.add_row(
            one.job_id,
            f"{one.dataset}/{one.model}",
            one.verdict,
            one.optimizer,
            f"{one.metric} {one.value.mean:.4g}",
            config_text(one.config),
        )
    return table


def catalog_listing(entries: Sequence[CatalogEntry]) -> RenderableType:
    lines: list[RenderableType] = []
    for entry in entries:
        details = dict(entry.details)
        searched = details.pop("hyperparameters", [])
        lines.append(Text.assemble((entry.name, "bold"), "  ", entry.title))
        lines += [Text(f"    {name}: {_plain(value)}", style="dim") for name, value in details.items()]
        if searched:
            table = Table("    hyperparameter", "default", "range", "scale", box=None)
            for one in searched:
                table.add_row(f"    {one['name']}", _value(one["default"]), *_range(one["space"]))
            lines.append(table)
    return Group(*lines)


def findings(found: Sequence[LintFinding]) -> RenderableType:
    """What the linter found: what, why, and what instead."""
    if not found:
        return Text("nothing found", style="green")
    colors = {"error": "bold red", "warning": "yellow", "note": "cyan"}
    lines: list[RenderableType] = []
    for finding in found:
        head = Text.assemble((finding.severity, colors[finding.severity]), f" {finding.code}")
        lines.append(head.append(f"  {finding.field}" if finding.field else "", style="dim"))
        lines += [Text(f"    {text}") for text in (finding.what, f"why: {finding.why}")]
        lines.append(Text(f"    instead: {finding.instead}"))
    return Group(*lines)


def translation(found: Translation) -> RenderableType:
    """Both settings side by side, how near they are, and what to mind."""
    table = Table("hyperparameter", found.source, found.target, box=None, pad_edge=False)
    for name in dict.fromkeys((*found.given, *found.config)):
        sides = (_value(side[name]) if name in side else "" for side in (found.given, found.config))
        table.add_row(name, *sides)
    lines: list[RenderableType] = [table, Text(), Text(MEANING[found.exactness], style="bold")]
    lines += [Text(f"  {why}") for why in found.why]
    lines += [Text.assemble(("mind: ", "yellow"), warning) for warning in found.warnings]
    return Group(*lines)


def _range(space: dict[str, Any]) -> tuple[str, str]:
    if "choices" in space:
        return ", ".join(map(str, space["choices"])), ""
    return f"{space['low']:g} to {space['high']:g}", str(space["scale"])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _of(warning: JobWarning) -> str:
    return warning.detail if warning.optimizer is None else f"{warning.optimizer}: {warning.detail}"


def _number(value: float | None, form: str = ".5g") -> str:
    return "" if value is None else format(value, form)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return f"({', '.join(_value(part) for part in value)})"
    return str(value)


def _interval(value: Interval) -> str:
    return "" if value.low is None or value.high is None else f"[{value.low:.3g}, {value.high:.3g}]"


def _colored(state: JobState) -> Text:
    colors = {JobState.SUCCEEDED: "green", JobState.FAILED: "red", JobState.CANCELLED: "yellow"}
    return Text(state.value, style=colors.get(state, ""))
