"""A report as one HTML file that needs nothing else: no scripts, no links, its figures and data inside."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from whichopt.service.batches import WORDS
from whichopt.service.catalog.listed_layers import ListedLayer, layers_of, listed, params_of
from whichopt.service.environment import Environment
from whichopt.service.evidence.forecast.durations import chance_text, duration_text
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.figures import drawings, optimizer_tones
from whichopt.service.evidence.report.files import EMBEDDED
from whichopt.service.evidence.verdict.guest_snippet import Groups
from whichopt.service.evidence.verdict.snippet_lines import lines_to_paste
from whichopt.service.figures.tones import css_class, symbol
from whichopt.service.shape_words import image_words
from whichopt.service.states import Phase
from whichopt.service.templating import ASSETS, TEMPLATES, templates
from whichopt.service.training_words import own_training
from whichopt.service.views import TodayAnswer
from whichopt.service.workload_words import augment_line, data_line, goal_line

if TYPE_CHECKING:
    from jinja2 import Environment as Templates


STYLES = (ASSETS / "style.css", TEMPLATES / "report.css")
"""The pages' stylesheet, and what only the report needs."""

MOST_EMBEDDED_BYTES = 24 * 2**20
"""Compressed raw results that the page still carries; browsers refuse much larger links."""


def render_html(report: Report) -> str:
    """The report's HTML. Every text in it is escaped but our own drawings."""
    recommendation = report.recommendation
    drawn = drawings(report)
    return (
        _templates()
        .get_template("report.html")
        .render(
            report=report,
            spec=report.spec,
            recommendation=recommendation,
            analysis=report.analysis,
            style="".join(file.read_text(encoding="utf-8") for file in STYLES),
            tones=optimizer_tones(report),
            odds=_odds(report),
            essence=lines_to_paste(report.spec, recommendation) or "",
            figures=drawn.named,
            lr=drawn.lr,
            spaces=drawn.spaces,
            made=drawn.made,
            made_svgs=drawn.made_svgs,
            headline=_headline(report),
            surely=_surely(report),
            totals=_totals(report),
            environments=_environments(report),
            layers=_layers(report),
            params=_params(report),
            data_words=data_line(report.spec.workload),
            goal=goal_line(report.spec.workload),
            own_training=own_training(report.spec),
            words=WORDS,
            augmented=augment_line(report.spec.workload),
            image_words=image_words,
            data=_data(report),
            guest=report.spec.guest,
            groups=_groups(report),
            search=Phase.SEARCH,
        )
    )


def _odds(report: Report) -> list[tuple[str, int, float]]:
    """(label, tone, probability of being the best), the likeliest first; empty if nobody can be deployed."""
    tones = optimizer_tones(report)
    rows = report.recommendation.ranking
    known = [(one.optimizer, tones[one.optimizer], one.probability_best) for one in rows]
    some = [(label, tone, chance) for label, tone, chance in known if chance is not None]
    return sorted(some, key=lambda row: -row[2]) if len(rows) > 1 else []


def _headline(report: Report) -> str:
    recommendation = report.recommendation
    pick, best = recommendation.optimizer, recommendation.ranking[0].optimizer
    if recommendation.today is not None:
        return _todays_headline(recommendation.today)
    if pick is None:
        return "Nothing to deploy: no config trained on every fresh seed."
    if recommendation.verdict == "winner":
        return f"Use {pick} with the config below: it is the clear winner."
    if len(report.spec.labels) == 1:
        return f"Use {pick} with the config below: the best that was found for it."
    others = [label for label in recommendation.equivalent if label != best]
    if best != pick:
        return (
            f"No clear winner: {best} did best here, and {_listed(others)} may be as good. "
            f"Of these the rule for ties picks {pick}, with the config below."
        )
    may = f": {_listed(others)} may be as good" if others else ""
    return f"Use {pick} with the config below. It is no clear winner{may}."


def _todays_headline(today: TodayAnswer) -> str:
    if today.answer == "keep":
        return f"Keep today's {today.optimizer} as it is."
    if today.answer == "switch":
        return f"Switch from today's {today.optimizer} to {today.challenger} with its config below."
    if today.challenger is None:
        return f"Not distinguishable: today's {today.optimizer} diverged, and so did all that was found."
    return f"Not distinguishable: today's {today.optimizer} may be as good as {today.challenger}, or not."


def _surely(report: Report) -> str:
    """Say how probable it is that the pick is the best, and that the best performer is, if it is another."""
    recommendation = report.recommendation
    if len(report.spec.labels) == 1 or recommendation.optimizer is None:
        return ""
    rows = {row.optimizer: row.probability_best or 0.0 for row in recommendation.ranking}
    asked = dict.fromkeys((recommendation.ranking[0].optimizer, recommendation.optimizer))
    chances = _listed([f"{label} {chance_text(rows[label])}" for label in asked])
    return (
        f"Probability of having the best expected {recommendation.metric} of all finalists here: {chances}."
    )


def _totals(report: Report) -> dict[str, dict[str, float]]:
    """The ledger of both phases, by label."""
    totals: dict[str, dict[str, float]] = {label: {} for label in report.spec.trained_labels}
    for row in report.analysis.ledger:
        total = totals[row.optimizer]
        for name in ("trials", "complete", "pruned", "diverged", "steps", "examples", "seconds"):
            total[name] = total.get(name, 0) + getattr(row, name)
    return totals


def _environments(report: Report) -> list[tuple[Environment, int]]:
    """Each with the number of trials that it trained."""
    return [
        (environment, sum(trial.environment == place for trial in report.trials))
        for place, environment in enumerate(report.environments)
    ]


def _groups(report: Report) -> Groups:
    """Return the groups of params of the first trial of a function that says what it started from."""
    starts = (trial.result.start for trial in report.trials if trial.result is not None)
    return next((start.groups for start in starts if start is not None), ())


def _layers(report: Report) -> Sequence[ListedLayer]:
    """The layers of the network; none if the job does not describe it."""
    if report.spec.guest is not None:
        return ()
    workload = report.spec.cataloged
    layers = layers_of(workload.model.name, workload.model.options)
    return () if layers is None else listed(layers, workload.shape)


def _params(report: Report) -> int | None:
    if report.spec.guest is not None:
        return None if report.spec.guest.rehearsed is None else report.spec.guest.rehearsed.params
    workload = report.spec.cataloged
    return params_of(workload.model.name, workload.model.options, workload.shape)


def _data(report: Report) -> str | None:
    """The report itself in a link that saves it; the same bytes for the same report."""
    packed = gzip.compress(report.model_dump_json().encode(), mtime=0)
    if len(packed) > MOST_EMBEDDED_BYTES:
        return None
    return EMBEDDED + base64.b64encode(packed).decode("ascii")


@cache
def _templates() -> Templates:
    from markupsafe import Markup

    environment = templates()
    environment.filters |= {
        "number": _number,
        "interval": _interval,
        "count": lambda value: f"{value:,}",
        "lasting": duration_text,
        "moment": _moment,
        "listed": _listed,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "setting": _setting,
        "pretty": lambda value: json.dumps(value, indent=1),
        "svg": Markup,  # drawn by Vega from numbers and escaped labels
        "css": Markup,
    }
    environment.globals |= {"tone_class": css_class, "tone_symbol": symbol}
    return environment


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}g}"


def _interval(value: Any, digits: int = 3) -> str:
    """The ends of anything that has `low` and `high`."""
    if value is None or value.low is None or value.high is None:
        return ""
    return f"{value.low:.{digits}g} to {value.high:.{digits}g}"


def _moment(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _setting(value: Any) -> str:
    """A hyperparameter's value, as short as it can be told."""
    if isinstance(value, bool) or not isinstance(value, float | list | tuple):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"({', '.join(_setting(part) for part in value)})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
