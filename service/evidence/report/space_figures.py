"""The figures of a report that tell where its search found something good, one per optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.svg import (
    FAINT,
    INK,
    Figure,
    LineStyle,
    plain_log,
    render,
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
