"""The figures of a report that are about its search: how soon it found something, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from whichopt.service.evidence.analysis.shapes import CurvePoint
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.svg import (
    FAINT,
    INK,
    Figure,
    LineStyle,
    plain_log,
    render,
    short,
    spread_over_decades,
)
from whichopt.service.space import Categorical, Float, Int, Value
from whichopt.service.spec import ResolvedOptimizer
from whichopt.service.states import Phase
from whichopt.service.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL = 3.0, 2.1
"""Inches of a figure that there is one of for each optimizer."""

BEST_SHARE = 0.2
"""Share of a search's trials that parallel coordinates highlight."""


def best_so_far(
    report: Report, styles: dict[str, LineStyle], by: Literal["trials", "seconds"]
) -> Figure | None:
    """The best validation value so far of a study, with its band, by what the study has cost."""
    lines: dict[str, list[CurvePoint]] = {}
    for anytime in report.analysis.anytime:
        points = anytime.by_trials if by == "trials" else anytime.by_seconds
        lines[anytime.optimizer] = [point for point in points if point.value is not None]
    lines = {label: points for label, points in lines.items() if points}
    if not lines:
        return None
    metric = report.analysis.metric
    centers = [point.value for points in lines.values() for point in points if point.value is not None]

    def draw(axes: Axes) -> None:
        for label, points in lines.items():
            at = [point.at for point in points]
            axes.plot(
                at,
                [point.value for point in points if point.value is not None],
                **styles[label].line,
                drawstyle="steps-post",
                marker=styles[label].marker if len(at) <= 12 and by == "trials" else None,
                label=short(label),
            )
            band = [(p.at, p.low, p.high) for p in points if p.low is not None and p.high is not None]
            if band:
                xs, lows, highs = zip(*band, strict=True)
                axes.fill_between(
                    xs, lows, highs, step="post", color=styles[label].color, alpha=0.12, linewidth=0
                )
        if spread_over_decades(centers):
            axes.set_yscale("log")
            plain_log(axes.yaxis)
        axes.set_xlabel("trials of a study" if by == "trials" else "seconds of training of a study")
        axes.set_ylabel(f"best validation {metric} so far")

    ends = {label: points[-1] for label, points in lines.items()}
    in_words = "; ".join(f"{label} {end.value:.4g} after {end.at:.3g}" for label, end in ends.items())
    return render(
        f"best-by-{by}",
        draw,
        title=f"Best so far, by {by}",
        caption=f"Mean over the studies of each optimizer of the best value found so far. {_band(report)}",
        alt=f"Best validation {metric} so far by {by}: {in_words}.",
    )


def _band(report: Report) -> str:
    kinds: set[str] = {anytime.band for anytime in report.analysis.anytime}
    level = next((anytime.level for anytime in report.analysis.anytime if anytime.level is not None), None)
    if kinds == {"range"}:
        return f"The band runs from the lowest study to the highest ({level:.0%} for the median study)."
    if kinds == {"bootstrap"}:
        return f"The band is a {level:.0%} bootstrap over studies."
    return "One study has no band."


def expected_best(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    """Draw the random part of the search, if it has more than a point or two."""
    lines = {
        expected.optimizer: [
            (p.trials, p.unbiased, p.low, p.high) for p in expected.points if p.unbiased is not None
        ]
        for expected in report.analysis.expected_best
    }
    lines = {label: points for label, points in lines.items() if len(points) > 2}
    if not lines:
        return None
    values = [value for points in lines.values() for _, value, *_ in points if value is not None]
    metric = report.analysis.metric

    def draw(axes: Axes) -> None:
        for label, points in lines.items():
            axes.plot(
                [p[0] for p in points],
                [p[1] or 0.0 for p in points],
                **styles[label].line,
                label=short(label),
            )
            band = [(at, low, high) for at, _, low, high in points if low is not None and high is not None]
            if band:
                xs, lows, highs = zip(*band, strict=True)
                axes.fill_between(xs, lows, highs, color=styles[label].color, alpha=0.12, linewidth=0)
        if spread_over_decades(values):
            axes.set_yscale("log")
            plain_log(axes.yaxis)
        axes.set_xlabel("random trials")
        axes.set_ylabel(f"expected best validation {metric}")

    in_words = "; ".join(f"{label} {p[-1][1]:.4g} of {p[-1][0]}" for label, p in lines.items())
    return render(
        "expected-best",
        draw,
        title="Expected best of random trials",
        caption="What so many configs drawn at random from the space would give at best, on average "
        "(unbiased estimate); shown up to half of the random trials, beyond which the estimate says little.",
        alt=f"Expected best validation {metric} of random trials: {in_words}.",
    )


def probability_by_trials(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    """The probability that an optimizer is the best one after so many trials of a study."""
    steps = report.analysis.advice.steps
    if len(steps) < 2 or len(report.spec.labels) < 2:
        return None

    def draw(axes: Axes) -> None:
        for label in report.spec.labels:
            rows = [next(row for row in step.rows if row.optimizer == label) for step in steps]
            axes.plot(
                [step.trials for step in steps],
                [row.probability_best for row in rows],
                **styles[label].line,
                marker=styles[label].marker if len(steps) <= 16 else None,
                label=short(label),
            )
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("trials of a study")
        axes.set_ylabel("probability of being best")

    last = ", ".join(f"{row.optimizer} {row.probability_best:.2f}" for row in steps[-1].rows)
    return render(
        "advice",
        draw,
        title="Best optimizer by budget",
        caption="How probable it is that a search of so many trials with this optimizer ends better than one "
        "with any other; with few studies this stays vague. Nothing is said beyond the trials that were run.",
        alt=f"Probability of being best by trials; at the end: {last}.",
    )


def lr_sensitivity(report: Report, styles: dict[str, LineStyle]) -> list[Figure]:
    """One small figure an optimizer, all on the same axes."""
    shown = [
        (sensitivity, [p for p in sensitivity.points if p.lr is not None])
        for sensitivity in report.analysis.sensitivity
        if sensitivity.range_decades is not None and sensitivity.complete
    ]
    rates = [p.lr for _, points in shown for p in points if p.lr is not None and p.lr > 0]
    values = [p.value for _, points in shown for p in points if p.value is not None]
    if not rates or not values:
        return []
    log = spread_over_decades(values)
    low, high = min(values), max(values)
    room = high - low
    lowest, missing = (0.8 * low, 1.5 * high) if log else (low - 0.05 * room, high + 0.1 * room)
    metric = report.analysis.metric
    figures = []
    for sensitivity, points in shown:
        style = styles[sensitivity.optimizer]

        def draw(axes: Axes, sensitivity=sensitivity, points=points, style=style) -> None:  # type: ignore[no-untyped-def]
            if sensitivity.lr_low is not None and sensitivity.lr_high is not None:
                axes.axvspan(
                    sensitivity.lr_low, sensitivity.lr_high, color=style.color, alpha=0.15, linewidth=0
                )
            complete = [(point.lr, point.value) for point in points if point.value is not None]
            others = [point.lr for point in points if point.value is None]
            axes.plot(*zip(*complete, strict=True), style.marker, color=style.color, alpha=0.75)
            axes.plot(others, [missing] * len(others), "x", color=FAINT)
            axes.set_xscale("log")
            axes.set_xlim(min(rates) / 1.6, max(rates) * 1.6)
            plain_log(axes.xaxis)
            if log:
                axes.set_yscale("log")
            axes.set_ylim(lowest, missing * 1.25 if log else missing + 0.05 * room)
            if log:
                plain_log(axes.yaxis)
            axes.set_xlabel("lr")
            axes.set_ylabel(f"validation {metric}")

        width = "" if sensitivity.lr_decades is None else f", {sensitivity.lr_decades:.2g} decades of lr"
        share = "no" if sensitivity.share_near is None else f"{sensitivity.share_near:.0%} of its"
        near = f"{sensitivity.tolerance:.0%}"
        figures.append(
            render(
                f"lr-{report.spec.labels.index(sensitivity.optimizer)}",
                draw,
                title=sensitivity.optimizer,
                caption=f"{sensitivity.near} configs within {near} of their study's best{width}.",
                alt=f"{sensitivity.optimizer}: validation {metric} against lr; {share} complete configs are "
                f"within {near} of the best{width}.",
                width=SMALL[0],
                height=SMALL[1],
            )
        )
    return figures


def parallel_coordinates(report: Report, styles: dict[str, LineStyle]) -> list[Figure]:
    """One small figure an optimizer: each search trial a line over its hyperparameters."""
    sign = report.spec.goal.sign
    figures = []
    for chosen in report.spec.optimizers:
        trials = [
            trial
            for trial in report.trials
            if trial.plan.label == chosen.label
            and trial.plan.phase is Phase.SEARCH
            and trial.result is not None
            and trial.result.value is not None
        ]
        if len(trials) >= 2 and chosen.searched:
            trials.sort(key=lambda trial: sign * _value(trial), reverse=True)  # the best ones on top
            figures.append(_coordinates(report, chosen, trials, styles[chosen.label]))
    return figures


def _coordinates(
    report: Report, chosen: ResolvedOptimizer, trials: Sequence[Trial], style: LineStyle
) -> Figure:
    names = list(chosen.searched)
    few = max(1, round(BEST_SHARE * len(trials)))

    def draw(axes: Axes) -> None:
        for rank, trial in enumerate(trials):
            heights = [_height(chosen, name, trial.plan.config[name]) for name in names]
            best = rank >= len(trials) - few
            axes.plot(
                range(len(names)),
                heights,
                color=style.color if best else FAINT,
                linewidth=1.5 if best else 0.6,
                alpha=0.9 if best else 0.45,
            )
        for at, name in enumerate(names):
            axes.plot((at, at), (0, 1), color=INK, linewidth=0.7, alpha=0.6)
            low, high = _ends(chosen, name)
            axes.text(at, 1.04, high, ha="center", va="bottom", fontsize=7)
            axes.text(at, -0.04, low, ha="center", va="top", fontsize=7)
            axes.text(at, -0.17, name, ha="right", va="top", fontsize=8, rotation=20)
        axes.set_xlim(-0.3, len(names) - 0.7)
        axes.set_ylim(-0.35, 1.12)
        axes.axis("off")

    best = trials[-1]
    in_words = ", ".join(f"{name} {_number(best.plan.config[name])}" for name in names)
    return render(
        f"space-{report.spec.labels.index(chosen.label)}",
        draw,
        title=chosen.label,
        caption=f"{len(trials)} complete trials; the best {few} in color.",
        alt=f"{chosen.label}: parallel coordinates of {len(trials)} configs; the best searched one has "
        f"{in_words}.",
        width=SMALL[0] * 1.15,
        height=SMALL[1],
    )


def _value(trial: Trial) -> float:
    assert trial.result is not None
    assert trial.result.value is not None
    return trial.result.value


def _height(chosen: ResolvedOptimizer, name: str, value: Value) -> float:
    """Return the position of a value on its axis, from 0 to 1; values beyond the range lie at its end."""
    allowed = chosen.searched[name]
    if isinstance(allowed, Categorical):
        places = [i for i, choice in enumerate(allowed.choices) if choice == value]
        return places[0] / (len(allowed.choices) - 1) if places else 0.0
    within = allowed.nearest(value)
    return allowed.position(float(within))


def _ends(chosen: ResolvedOptimizer, name: str) -> tuple[str, str]:
    allowed = chosen.searched[name]
    if isinstance(allowed, Categorical):
        return _number(allowed.choices[0]), _number(allowed.choices[-1])
    assert isinstance(allowed, Float | Int)
    return _number(allowed.low), _number(allowed.high)


def _number(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
