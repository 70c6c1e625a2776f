"""A job as a row of the home page: where it stands, its answer, its odds, and what it took. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup, escape

from whichopt.service.figures.tones import tone, tones
from whichopt.service.job_names import shown_name
from whichopt.service.pages.frame import seconds as duration
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import JobState, Phase
from whichopt.service.views import JobView, LedgerEntry

LONGEST_REASON = 160
"""Characters of a failed job's reason; its page has the rest."""

BEST = "Probability of being the best"
LEADING = "Chance to lead at the end of the search"

PILLS = {
    "winner": ("winner", ""),
    "tie": ("no clear winner", "tie"),
    "nothing": ("nothing to deploy", "tie"),
    JobState.QUEUED: ("queued", "tie"),
    JobState.RUNNING: ("running", "run"),
    JobState.SUCCEEDED: ("done", ""),
    JobState.FAILED: ("failed", "bad"),
    JobState.CANCELLED: ("cancelled", "tie"),
}
"""Words and CSS class of where a job stands, by verdict or state."""


class Odds(NamedTuple):
    """The probability that an optimizer is the best, and its tone."""

    label: str
    tone: int
    probability: float


@dataclass(frozen=True)
class Row:
    """A job in the list. `done` and `on` are percent of its trials that have ended, and that run."""

    id: str
    name: str
    workload: str
    pill: str
    kind: str
    says: Markup
    odds: list[Odds]
    odds_words: str
    effort: str
    active: bool
    done: float
    on: float
    created_at: datetime


def pill_of(job: JobView) -> tuple[str, str]:
    """Return where a job stands in a word or two, by its verdict or its state, and its CSS class."""
    pill, kind = PILLS[job.state if job.verdict is None else job.verdict.verdict]
    return ("no rival" if pill == "no clear winner" and len(job.spec.labels) < 2 else pill), kind


def row_of(job: JobView, *, left_s: float | None = None) -> Row:
    """Return the row of a job; `left_s` are the seconds that it should still take, None if nothing tells."""
    workload = job.spec.workload
    pill, kind = pill_of(job)
    total = max(1, job.progress.trials_total)
    return Row(
        id=job.id,
        name=shown_name(job.name) or workload.short_title,
        workload=workload_words(job.spec),
        pill=pill,
        kind=kind,
        says=_says(job, left_s),
        odds=odds_of(job.odds, job.spec),
        odds_words=LEADING if job.verdict is None and job.phase is not Phase.CONFIRM else BEST,
        effort=_effort(job),
        active=not job.state.ended,
        done=min(100.0, 100 * job.progress.trials_done / total),
        on=100 * job.progress.trials_running / total,
        created_at=job.created_at,
    )


def workload_words(spec: ResolvedSpec) -> str:
    """Say what is trained in a few words: `mlp on digits`, or the name of a person's own function."""
    workload = spec.workload
    return workload.function_name or f"{workload.model_name} on {workload.dataset_name}"


def odds_of(odds: Mapping[str, float] | None, spec: ResolvedSpec) -> list[Odds]:
    """Return the odds of a job, the likeliest optimizer first."""
    own = tones({chosen.label: chosen.name for chosen in spec.optimizers})
    found = [Odds(label, own.get(label, tone(label)), chance) for label, chance in (odds or {}).items()]
    return sorted(found, key=lambda one: -one.probability)


def legend(rows: Iterable[Row]) -> list[Odds]:
    """Return the optimizers in the rows' odds, each tone once, by tone."""
    found = {one.tone: one for row in reversed([*rows]) for one in row.odds}
    return [found[number] for number in sorted(found)]


def in_bold(sentence: str, label: str | None) -> Markup:
    """Return the sentence with the first occurrence of the label in bold."""
    found = None if label is None else re.search(rf"(?<![\w-]){re.escape(label)}(?![\w-])", sentence)
    if found is None:
        return escape(sentence)
    before, after = sentence[: found.start()], sentence[found.end() :]
    return Markup("{}<strong>{}</strong>{}").format(before, found.group(), after)


def _says(job: JobView, left_s: float | None) -> Markup:
    if job.verdict is not None:
        return in_bold(job.verdict.headline, job.verdict.optimizer)
    if job.error is not None:
        return escape(f"Failed: {_shortened(job.error.detail)}")
    if job.state is JobState.CANCELLED:
        return escape("Cancelled: there is no verdict")
    what = None if job.activity is None else job.activity.what
    if job.activity is not None and (job.state is JobState.QUEUED or what == "worker"):
        return escape(job.activity.detail)
    left = "" if left_s is None or left_s < 1 else f", {duration(left_s)} left"
    left = ", waiting for its turn" if what == "queue" else left
    if job.phase is Phase.CONFIRM:
        odds = job.odds or {}
        first = max(odds, key=lambda label: odds[label], default=None)
        how = "on fresh seeds" if first is None else f"{first} {odds[first]:.2f}"
        return in_bold(f"Confirming: {how}{left}", first)
    leader = _leader(job)
    how = "the first trials train" if leader is None else f"{leader} leads"
    return in_bold(f"Searching: {how}{left}", leader)


def _leader(job: JobView) -> str | None:
    """Return the label with the best value in search; None before the first value."""
    sign = job.spec.goal.direction.sign
    found: list[tuple[float, LedgerEntry]] = [
        (sign * entry.best_value, entry) for entry in job.ledger if entry.best_value is not None
    ]
    return min(found, key=lambda one: one[0])[1].optimizer if found else None


def _effort(job: JobView) -> str:
    progress, confirm = job.progress, job.progress.confirm
    if job.state.ended:
        took = job.started_at and job.finished_at and (job.finished_at - job.started_at).total_seconds()
        return _runs(progress.trials_done) + (f", {duration(took)}" if took else "")
    if confirm is not None:
        return f"{_runs(progress.trials_done)}, {confirm.seeds_done} of {confirm.seeds_most} seeds"
    return f"{progress.trials_done:,} of {_trials(progress.trials_total)}"


def _runs(count: int) -> str:
    """Return how many trials there were, those on fresh seeds included, which nobody counts as tries."""
    return f"{count:,} run{'' if count == 1 else 's'}"


def _trials(count: int) -> str:
    return f"{count:,} trial{'' if count == 1 else 's'}"


def _shortened(detail: str) -> str:
    """Return the text, cut at a word if it is long."""
    if len(detail) <= LONGEST_REASON:
        return detail
    return f"{detail[:LONGEST_REASON].rsplit(' ', 1)[0]} …"
