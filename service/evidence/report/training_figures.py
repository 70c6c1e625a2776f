"""The figures of a report that tell how its finalists learn, and what that costs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.finalist_figures import better, left_out
from whichopt.service.evidence.report.svg import (
    FAINT,
    INK,
    Figure,
    LineStyle,
    label_rows,
    plain_log,
    render,
    rows_height,
    short,
    spread_over_decades,
)
from whichopt.service.evidence.statistics.estimates import mean_estimate
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.states import Phase
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND = 0.025
"""Beyond each end of a band around a mean curve."""


def curves(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    """The mean validation curve of each optimizer's best config over the fresh seeds."""
    goal, own = report.spec.goal, report.spec.guest is not None
    ends = "Lines end with the shortest run." if own else "The last point counts; nobody picks an epoch."
    lines = {}
    for label, runs in _best_runs(report).items():
        points = [run.curves.get(goal.curve, []) for run in runs]
        diverged = any(run.value is None for run in runs)  # a mean over the others would flatter it
        uneven = len({len(curve) for curve in points}) > 1
        if diverged or not points or not points[0] or (uneven and not own):
            continue
        # A function may stop by itself: what all runs have is shown.
        lines[label] = [
            (at[0].examples, mean_estimate([point.value for point in at]))
            for at in zip(*points, strict=not own)
        ]
    if not lines:
        return None
    epoch = report.spec.sizes.train
    seen = [
        value
        for line in lines.values()
        for _, estimate in line
        for value in (estimate.mean, estimate.low(BAND))
        if value > 0
    ]

    def draw(axes: Axes) -> None:
        for label, line in lines.items():
            at = [examples / epoch for examples, _ in line]
            bounds = [estimate.bounds(BAND) for _, estimate in line]
            axes.plot(at, [estimate.mean for _, estimate in line], **styles[label].line, label=short(label))
            band = [(x, low, high) for x, (low, high) in zip(at, bounds, strict=True) if low is not None]
            if band:
                xs, lows, highs = zip(*band, strict=True)
                axes.fill_between(xs, lows, highs, color=styles[label].color, alpha=0.15, linewidth=0)
        if spread_over_decades([estimate.mean for line in lines.values() for _, estimate in line]):
            axes.set_yscale("log", nonpositive="clip")
            axes.set_ylim(bottom=0.8 * min(seen))
            plain_log(axes.yaxis)
        axes.set_xlabel("epochs")
        axes.set_ylabel(f"validation {goal.metric}")

    in_words = "; ".join(f"{label} ends at {line[-1][1].mean:.4g}" for label, line in lines.items())
    return render(
        "curves",
        draw,
        title="How the finalists learn",
        caption=f"Mean validation {goal.metric} of each optimizer's best config over the fresh seeds, with a "
        f"95% band for the mean at each point. {ends}" + left_out(report, list(lines)),
        alt=f"Validation curves of each optimizer's best config: {in_words}.",
    )


def default_and_tuned(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    rows = [
        (row.optimizer, row.default_value, row.tuned_value)
        for row in report.analysis.tunability
        if row.default_value is not None and row.tuned_value is not None
    ]
    if not rows:
        return None
    metric, split = report.recommendation.metric, report.recommendation.split

    def draw(axes: Axes) -> None:
        for at, (label, default, tuned) in enumerate(rows):
            style = styles[label]
            axes.annotate(
                "", (tuned, at), (default, at), arrowprops={"arrowstyle": "-|>", "color": style.color}
            )
            axes.plot(default, at, style.marker, color=style.color, markerfacecolor="none", markersize=6)
            axes.plot(tuned, at, style.marker, color=style.color, markersize=6)
        values = [value for _, *both in rows for value in both]
        if spread_over_decades(values):
            axes.set_xscale("log")
            plain_log(axes.xaxis)
        label_rows(axes, [label for label, *_ in rows])
        axes.set_xlabel(f"{split} {metric} ({better(report)})")

    in_words = "; ".join(f"{label} from {default:.4g} to {tuned:.4g}" for label, default, tuned in rows)
    return render(
        "default-and-tuned",
        draw,
        title="Default against tuned",
        caption="From each optimizer's default setting (hollow) to the mean of the configs that its studies "
        f"chose (filled), both on the fresh seeds and the {split} split.",
        alt=f"{split.capitalize()} {metric} of defaults and of tuned configs: {in_words}.",
        height=rows_height(len(rows)),
    )


def seconds_used(report: Report, styles: dict[str, LineStyle]) -> Figure:
    used: dict[str, dict[Phase, float]] = defaultdict(dict)
    for row in report.analysis.ledger:
        used[row.optimizer][row.phase] = row.seconds
    rows = list(used.items())

    def draw(axes: Axes) -> None:
        for at, (label, seconds) in enumerate(rows):
            start = 0.0
            for phase, alpha in ((Phase.SEARCH, 0.9), (Phase.CONFIRM, 0.45)):
                took = seconds.get(phase, 0.0)
                axes.barh(at, took, left=start, color=styles[label].color, alpha=alpha, height=0.62)
                start += took
        label_rows(axes, [label for label, _ in rows])
        axes.set_xlabel("seconds of training (dark: search, light: confirm)")

    in_words = "; ".join(f"{label} {sum(seconds.values()):.1f} s" for label, seconds in rows)
    return render(
        "seconds-used",
        draw,
        title="Seconds of training",
        caption=f"What each optimizer used in all. Trials, {report.spec.unit} and rungs are the same for all "
        "by design; seconds are what came of it.",
        alt=f"Seconds of training by optimizer: {in_words}.",
        height=rows_height(len(rows)),
    )


def steps_to_target(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    """For each run of the best configs, the step at which it first had the target."""
    times = report.analysis.time_to_target
    if times is None or not any(row.reached for row in times.rows):
        return None
    longest = max(step for row in times.rows for step in row.steps if step is not None)
    never = 1.12 * longest

    def draw(axes: Axes) -> None:
        axes.axvspan(1.05 * longest, 1.2 * longest, color=FAINT, alpha=0.15, linewidth=0)
        for at, row in enumerate(times.rows):
            style = styles[row.optimizer]
            by_step: dict[int | None, int] = defaultdict(int)
            for step in row.steps:
                by_step[step] += 1
            for step, count in by_step.items():
                axes.plot(
                    never if step is None else step,
                    at,
                    "x" if step is None else style.marker,
                    color=style.color,
                    markersize=3 + 1.6 * count**0.5,
                    alpha=0.8,
                )
            if row.median_steps is not None:
                axes.plot([row.median_steps] * 2, (at - 0.34, at + 0.34), color=INK, linewidth=1.4)
        label_rows(axes, [row.optimizer for row in times.rows])
        axes.set_xlim(0, 1.2 * longest)
        axes.set_xlabel("steps to the target (×: not within the budget)")

    in_words = "; ".join(f"{row.optimizer} {row.reached} of {row.runs} runs" for row in times.rows)
    return render(
        "steps-to-target",
        draw,
        title="Steps to the target",
        caption=f"When each run first had a validation {times.metric} of {times.target:.4g}; larger marks "
        "are several runs, the tick is the median. Runs are looked at once an epoch.",
        alt=f"Runs that had the target: {in_words}.",
        height=rows_height(len(times.rows)),
    )


def _best_runs(report: Report) -> dict[str, list[TrialResult]]:
    """The confirm runs of each optimizer's best config, by label in the order of the ranking."""
    table = read_confirm_table(report.spec, report.counted)
    labels = [row.optimizer for row in report.recommendation.ranking]
    confirm = TrialSet(report.spec, report.counted).by_finalist
    best = {label: confirm.get(table.arms[table.best(label)].key, ()) for label in labels}
    return {label: [t.result for t in runs if t.result is not None] for label, runs in best.items()}
