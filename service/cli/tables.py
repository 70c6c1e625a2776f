"""Tables of jobs, trials, catalogs, lint findings and translations for the terminal.

Recommendations and forecasts are in `terminal_verdicts`, a running job's bars in `terminal_progress`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from whichopt.service.cli.listings import (
    Cell,
    Facts,
    Heading,
    Listing,
    config_text,
    number_text,
    stacked,
    value_text,
)
from whichopt.service.states import Direction, JobState
from whichopt.service.translations import MEANING
from whichopt.service.views import (
    CatalogEntry,
    JobView,
    LintFinding,
    PluginView,
    Translation,
    TrialView,
)
from whichopt.service.workload_words import data_line, goal_line, model_line

NOTHING: tuple[Any, ...] = (None, "", {}, [])
"""Details of an entry that say nothing."""


def job_table(jobs: Sequence[JobView]) -> RenderableType:
    """Return a table with a row for each job."""
    headings = (
        Heading("id", ids=True),
        Heading("state"),
        Heading("phase", rank=2),
        Heading("trials", right=True),
        Heading("workload", folds=True),
        Heading("created", rank=3),
        Heading("verdict", folds=True, rank=4),
        Heading("name", folds=True, rank=1),
    )
    return Listing(
        headings,
        [
            (
                job.id,
                _state(job.state),
                job.phase or "",
                f"{job.progress.trials_done}/{job.progress.trials_total}",
                _workload(job),
                _time(job.created_at),
                "" if job.verdict is None else job.verdict.headline,
                job.name or "",
            )
            for job in jobs
        ],
    )


def job_summary(job: JobView) -> RenderableType:
    """Return the state of a job, and what each optimizer has used and reached."""
    facts: list[tuple[str, str | Cell]] = [
        ("id", job.id),
        ("name", job.name or ""),
        ("workload", _workload(job)),
        ("data", data_line(job.spec.workload)),
        ("model", model_line(job.spec.workload)),
        ("metric", goal_line(job.spec.workload)),
        ("state", _state(job.state)),
        ("phase", job.phase or ""),
        ("trials", f"{job.progress.trials_done}/{job.progress.trials_total}"),
        ("created", _time(job.created_at)),
    ]
    headings = (
        Heading("optimizer", folds=True),
        Heading("trials", right=True),
        Heading("pruned", right=True),
        Heading("diverged", right=True),
        Heading("steps", right=True, rank=1),
        Heading(job.spec.unit, right=True, rank=2),
        Heading("seconds", right=True, rank=3),
        Heading("best (validation)", right=True),
    )
    ledger = Listing(
        headings,
        [
            (
                entry.optimizer,
                f"{entry.trials}/{entry.trials_total}",
                str(entry.pruned),
                str(entry.diverged),
                f"{entry.steps:,}",
                f"{entry.examples:,}",
                f"{entry.seconds:.1f}",
                number_text(entry.best_value),
            )
            for entry in job.ledger
        ],
    )
    lines: list[RenderableType] = [Text(line) for line in _budget_lines(job)]
    if job.activity is not None:
        lines.append(Text(job.activity.detail, style="yellow" if job.activity.what == "worker" else ""))
    lines += [Text(line) for line in job.spec.solo_lines]
    if job.error:
        lines.append(Text(f"{job.error.code}: {job.error.detail}", style="red"))
    return Group(stacked(Facts([(name, value) for name, value in facts if value]), ledger), *lines)


def _budget_lines(job: JobView) -> list[str]:
    """Return lines about the plan for the job's minutes, and the progress of confirm."""
    plan, confirm = job.spec.budget.settled, job.progress.confirm
    lines = []
    if plan is not None:
        own = job.spec.guest is not None  # whose plan is made of epochs
        each = {
            label: f"{ms / 1000:.3g} s per epoch" if own else f"{ms:.3g} ms per step"
            for label, ms in plan.step_ms.items()
        }
        trials = ", ".join(f"{label} {count} ({each[label]})" for label, count in plan.trials.items())
        lines.append(
            f"In {job.spec.budget.minutes:g} minutes, each optimizer can search for "
            f"{plan.search_seconds:.3g} s (trials: {trials}), followed by at most "
            f"{job.spec.budget.confirm_seeds} fresh seeds."
        )
    if confirm is not None:
        lines.append(f"Confirm: {confirm.seeds_done} of at most {confirm.seeds_most} fresh seeds.")
    return lines


def trial_table(trials: Sequence[TrialView]) -> RenderableType:
    """Return a table with a row for each trial; the config comes last because it is the longest."""
    headings = (
        Heading("optimizer", folds=True),
        Heading("phase"),
        Heading("study", right=True),
        Heading("no.", right=True),
        Heading("origin", rank=1),
        Heading("state"),
        Heading("value", right=True),
        Heading("config", folds=True),
    )
    return Listing(
        headings,
        [
            (
                trial.optimizer,
                trial.phase.value,
                "" if trial.replicate is None else str(trial.replicate),
                str(trial.number),
                trial.origin.value,
                trial.state.value,
                number_text(trial.value),
                config_text(trial.config),
            )
            for trial in trials
        ],
    )


def catalog_listing(entries: Sequence[CatalogEntry]) -> RenderableType:
    lines: list[RenderableType] = []
    for entry in entries:
        details = dict(entry.details)
        searched, judged_by = details.pop("hyperparameters", []), details.pop("judged_by", [])
        lines.append(Text.assemble((entry.name, "bold"), "  ", entry.title))
        about = details.pop("about", [])
        lines += [Text(f"    {sentence}") for sentence in ([about] if isinstance(about, str) else about)]
        said = [(name, value) for name, value in details.items() if value not in NOTHING]
        lines += [Text(f"    {name}: {_plain(value)}", style="dim") for name, value in said]
        if searched:
            rows = [(one["name"], value_text(one["default"]), *_range(one["space"])) for one in searched]
            headings = ("hyperparameter", "default", "range", "scale")
            lines.append(Listing([Heading(title) for title in headings], rows, indent=4))
        if judged_by:
            kinds = [
                Heading("metric"),
                Heading("better"),
                Heading("unit", rank=1),
                Heading("a constant predictor scores", folds=True, least=30),
            ]
            judged = [
                (one["name"], Direction(one["direction"]).better, one["unit"], one["constant_predictor"])
                for one in judged_by
            ]
            lines.append(Listing(kinds, judged, indent=4))
    return Group(*lines)


def plugin_listing(plugins: Sequence[PluginView]) -> RenderableType:
    """Return the plug-ins of the live workers: where each is from, and what is wrong with it."""
    headings = [
        Heading("plug-in"),
        Heading("of a"),
        Heading("package", rank=1),
        Heading("worker", rank=2),
        Heading("state", folds=True, least=30),
    ]
    rows = []
    for one in plugins:
        if not one.workers:
            rows.append((one.name, one.kind, one.package or "", "", "no live worker has it"))
        for offer in one.workers:
            state = offer.problem or ("ready" if one.same else "refused: its source differs between workers")
            package = " ".join(filter(None, (offer.package, offer.version)))
            rows.append((one.name, one.kind, package, offer.worker, state))
    return Listing(headings, rows) if rows else Text("No worker has a plug-in.")


def findings(job_findings: Sequence[LintFinding]) -> RenderableType:
    """Return the linter's findings: what is wrong, why, and what to do instead."""
    if not job_findings:
        return Text("No problems found.", style="green")
    colors = {"error": "bold red", "warning": "yellow", "note": "cyan"}
    lines: list[RenderableType] = []
    for finding in job_findings:
        head = Text.assemble((finding.severity, colors[finding.severity]), f" {finding.code}")
        lines.append(head.append(f"  {finding.field}" if finding.field else "", style="dim"))
        lines += [Text(f"    {text}") for text in (finding.what, f"why: {finding.why}")]
        lines.append(Text(f"    instead: {finding.instead}"))
    return Group(*lines)


def translation(translated: Translation) -> RenderableType:
    """Return both settings side by side, how near they are, and warnings."""
    rows = [
        (
            name,
            *(
                value_text(side[name]) if name in side else ""
                for side in (translated.given, translated.config)
            ),
        )
        for name in dict.fromkeys((*translated.given, *translated.config))
    ]
    table = Listing(
        [Heading(title) for title in ("hyperparameter", translated.source, translated.target)], rows
    )
    lines: list[RenderableType] = [table, Text(), Text(MEANING[translated.exactness], style="bold")]
    lines += [Text(f"  {why}") for why in translated.why]
    lines += [Text.assemble(("warning: ", "yellow"), warning) for warning in translated.warnings]
    return Group(*lines)


def _range(space: dict[str, Any]) -> tuple[str, str]:
    if "choices" in space:
        return ", ".join(map(str, space["choices"])), ""
    return f"{space['low']:g} to {space['high']:g}", str(space["scale"])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _time(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _state(state: JobState) -> Cell:
    colors = {JobState.SUCCEEDED: "green", JobState.FAILED: "red", JobState.CANCELLED: "yellow"}
    return Cell(state.value, colors.get(state, ""))


def _workload(job: JobView) -> str:
    return job.spec.workload.title
