"""What a notebook shows of a recommendation and of a job, made of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from whichopt.service.figures.figure import Figure, Metric
from whichopt.service.figures.intervals import Bounded, finalists
from whichopt.service.figures.notebook import bundle, chance, lanes, named, table
from whichopt.service.figures.odds import odds_now


@dataclass(frozen=True)
class Ranked:
    """A row of a ranking; `value` is None if a run diverged."""

    label: str
    value: Bounded | None
    probability: float | None
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Used:
    """What an optimizer has used of a job so far, and found in search."""

    label: str
    trials: int
    of: int
    best: float | None


def ranking_html(
    sentence: str, rows: Sequence[Ranked], metric: Metric, tones: Mapping[str, int], before: str = ""
) -> str:
    """Return the sentence, and the ranking as a table with each finalist's interval.

    Args:
        sentence: the verdict.
        rows: of the ranking, the best first.
        metric: of the values.
        tones: of each label.
        before: HTML that comes first.
    """
    drawn = lanes([row.value for row in rows if row.value is not None], metric, tones)
    cells = [
        [
            named(row.label, tones),
            escape(interval(row.value)).replace(" ", "&nbsp;"),
            drawn.get(row.label, ""),
            chance(row.label, row.probability, tones),
            escape(config_text(row.config)),
        ]
        for row in rows
    ]
    head = ("optimizer", metric.name, "better to the right", "P(best)", "config")
    return f"{before}<p>{escape(sentence)}</p>{table(head, cells)}"


def ranking_figure(
    rows: Sequence[Ranked], metric: Metric, tones: Mapping[str, int], level: float
) -> Figure | None:
    """Return the figure of the finalists' intervals; None if none has a value."""
    values = [row.value for row in rows if row.value is not None]
    return finalists([values], metric, tones, level=level) if values else None


def job_bundle(
    sentence: str,
    rows: Sequence[Used],
    odds: Mapping[str, float] | None,
    metric: Metric,
    tones: Mapping[str, int],
) -> dict[str, Any]:
    """Return what a notebook shows of a job: its sentence, its ledger, and who is the best if it is known.

    Args:
        sentence: where it stands, or its verdict.
        rows: one for each optimizer.
        odds: probabilities of being the best by label; None while nothing is known.
        metric: of the values of the search.
        tones: of each label.
    """
    known = odds or {}
    cells = [
        [
            named(row.label, tones),
            f"{row.trials:,} of {row.of:,}",
            "" if row.best is None else f"{row.best:.4g}",
            chance(row.label, known.get(row.label), tones),
        ]
        for row in rows
    ]
    head = ("optimizer", "trials", f"best {metric.words} in search", "P(best)")
    text = "\n".join([sentence, *(f"{row.label}: {row.trials:,} of {row.of:,} trials" for row in rows)])
    figure = odds_now(known, tones) if known else None
    return bundle(f"<p>{escape(sentence)}</p>{table(head, cells)}", text, figure)


def interval(value: Bounded | None) -> str:
    """Return a mean with its interval as text."""
    if value is None:
        return ""
    known = value.low is not None and value.high is not None
    return f"{value.mean:.4g}" + (f" [{value.low:.4g}, {value.high:.4g}]" if known else "")


def config_text(config: Mapping[str, Any]) -> str:
    """Return a config as code has it."""
    return ", ".join(f"{name}={value!r}" for name, value in config.items())
