"""The figures of a report that tell how soon its search found something good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from whichopt.service.evidence.analysis.shapes import CurvePoint
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.svg import (
    Figure,
    LineStyle,
    plain_log,
    render,
    short,
    spread_over_decades,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
