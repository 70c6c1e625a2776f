"""The figures of a report that are about its finalists: how far apart, how they learn, what they cost."""

from __future__ import annotations

from collections import defaultdict
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
    short,
    spread_over_decades,
)
from whichopt.service.evidence.statistics.estimates import mean, mean_estimate
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.states import Phase
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bounded = tuple[str, float, float | None, float | None]
"""(label, mean, low, high)."""

ROW = 0.29
"""Inches that a row of a horizontal figure takes."""

BAND = 0.025
"""Beyond each end of a band around a mean curve."""


def config_intervals(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    recommendation = report.recommendation
    rows: list[Bounded] = [
        (row.optimizer, row.difference.mean, row.difference.low, row.difference.high)
        for row in recommendation.ranking
        if row.difference is not None
    ]
    if not rows:
        return None
    return _intervals(
        "config-intervals",
        rows,
        styles,
        title="Configs: how far behind the best",
        xlabel=f"{recommendation.metric} behind the best config (right is worse)",
        caption="How much worse each optimizer's best config is than the best one of all, whichever that is: "
        f"the mark is the mean difference to the one that did best here, the bar a simultaneous "
        f"{recommendation.level:.0%} interval. Where a bar reaches zero, that config may be the best itself."
        + _left_out(report, [row[0] for row in rows]),
        what="Differences between each optimizer's best config and the best config of all",
    )


def study_intervals(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    verdict = report.recommendation.optimizer_verdict
    if not verdict.differences:
        return None
    rows: list[Bounded] = [
        (row.optimizer, row.mean, row.low, row.high) for row in verdict.differences if row.mean is not None
    ]
    others = {row.optimizer for row in verdict.differences}
    best = next((label for label in report.spec.labels if label not in others), None)
    if best is not None:
        rows.insert(0, (best, 0.0, 0.0, 0.0))
    return _intervals(
        "study-intervals",
        rows,
        styles,
        title="Optimizers: how far behind the best, by study",
        xlabel=f"{report.recommendation.metric} behind the best optimizer (right is worse)",
        caption=f"The same for optimizers: means over {verdict.replicates} independent studies of each, "
        "whose bars count the luck of the search as well as that of the seeds. So they are wider."
        + _left_out(report, [row[0] for row in rows]),
        what="Differences between the study means of each optimizer and of the best one",
    )


def _left_out(report: Report, shown: Sequence[str]) -> str:
    """Name the optimizers that are not in a figure because one of their runs diverged."""
    others = [label for label in report.spec.labels if label not in shown]
    return f" Not shown, as runs diverged: {', '.join(others)}." if others else ""


def _intervals(
    name: str,
    rows: Sequence[Bounded],
    styles: dict[str, LineStyle],
    *,
    title: str,
    xlabel: str,
    caption: str,
    what: str,
) -> Figure:
    """One row an optimizer; a bar much wider than the others ends in an arrow, so that those can be read."""
    reaches = sorted(max(abs(end) for end in (m, low or 0, high or 0)) for _, m, low, high in rows)
    most = max(2.5 * reaches[len(reaches) // 2], *(1.3 * abs(m) for _, m, _, _ in rows)) or 1.0
    most = min(most, 1.1 * reaches[-1] or 1.0)
    lowest = min(min(m, low if low is not None else m) for _, m, low, _ in rows)

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=0.8)
        for at, (label, center, low, high) in enumerate(rows):
            style = styles[label]
            if low is not None and high is not None and high > low:
                ends = max(low, -most), min(high, most)
                axes.plot(ends, (at, at), color=style.color, linewidth=3, solid_capstyle="butt", alpha=0.55)
                for end, shown, arrow in ((low, ends[0], "<"), (high, ends[1], ">")):
                    if end != shown:
                        axes.plot(shown, at, marker=arrow, color=style.color, clip_on=False)
            axes.plot(center, at, marker=style.marker, color=style.color, markersize=6)
        axes.set_yticks(range(len(rows)), [short(label) for label, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(max(lowest, -most) - 0.04 * most, 1.02 * most)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(xlabel)

    in_words = "; ".join(
        f"{label} {center:.3g}" + ("" if low is None or high is None else f" ({low:.3g} to {high:.3g})")
        for label, center, low, high in rows
    )
    return render(
        name, draw, title=title, caption=caption, alt=f"{what}: {in_words}.", height=0.75 + ROW * len(rows)
    )


def seed_values(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    """The paired raw results: every fresh seed of each optimizer's best config."""
    recommendation = report.recommendation
    table = read_confirm_table(report.spec, report.trials)
    best = {row.optimizer: table.best(row.optimizer) for row in recommendation.ranking}
    rows = [(label, table.values[arm]) for label, arm in best.items() if table.shown(arm)]
    if not rows:
        return None

    def draw(axes: Axes) -> None:
        for column in zip(*(values for _, values in rows), strict=True):
            axes.plot(column, range(len(rows)), color=FAINT, linewidth=0.5, alpha=0.5)
        for at, (label, values) in enumerate(rows):
            style = styles[label]
            axes.plot(values, [at] * len(values), style.marker, color=style.color, alpha=0.75)
            axes.plot([mean(values)] * 2, (at - 0.32, at + 0.32), color=INK, linewidth=1.4)
        if spread_over_decades([value for _, values in rows for value in values]):
            axes.set_xscale("log")
            plain_log(axes.xaxis)
        axes.set_yticks(range(len(rows)), [short(label) for label, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"test {recommendation.metric} ({_better(report)})")

    in_words = "; ".join(f"{label} mean {mean(v):.4g}, {min(v):.4g} to {max(v):.4g}" for label, v in rows)
    return render(
        "seed-values",
        draw,
        title="The runs behind it",
        caption="One mark a fresh seed, for each optimizer's best config; the tick is the mean. A gray line "
        "joins the runs of one seed: they start and see the data alike, so they are compared pair by pair."
        + _left_out(report, [label for label, _ in rows]),
        alt=f"Test {recommendation.metric} on each of {len(rows[0][1])} fresh seeds: {in_words}.",
        height=0.75 + ROW * len(rows),
    )


def curves(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    """The mean validation curve of each optimizer's best config over the fresh seeds."""
    goal = report.spec.goal
    lines = {}
    for label, runs in _best_runs(report).items():
        points = [run.curves.get(goal.curve, []) for run in runs]
        diverged = any(run.value is None for run in runs)  # a mean over the others would flatter it
        if diverged or not points or not points[0] or len({len(curve) for curve in points}) > 1:
            continue
        lines[label] = [
            (at[0].examples, mean_estimate([point.value for point in at])) for at in zip(*points, strict=True)
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
        "95% band for the mean at each point. The last point counts; nobody picks an epoch."
        + _left_out(report, list(lines)),
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
    metric = report.recommendation.metric

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
        axes.set_yticks(range(len(rows)), [short(label) for label, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"test {metric} ({_better(report)})")

    in_words = "; ".join(f"{label} from {default:.4g} to {tuned:.4g}" for label, default, tuned in rows)
    return render(
        "default-and-tuned",
        draw,
        title="Default against tuned",
        caption="From each optimizer's default setting (hollow) to the mean of the configs that its studies "
        "chose (filled), both on the fresh seeds and the test split.",
        alt=f"Test {metric} of defaults and of tuned configs: {in_words}.",
        height=0.75 + ROW * len(rows),
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
        axes.set_yticks(range(len(rows)), [short(label) for label, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("seconds of training (dark: search, light: confirm)")

    in_words = "; ".join(f"{label} {sum(seconds.values()):.1f} s" for label, seconds in rows)
    return render(
        "seconds-used",
        draw,
        title="Seconds of training",
        caption="What each optimizer used in all. Trials, examples and rungs are the same for all by design; "
        "seconds are what came of it.",
        alt=f"Seconds of training by optimizer: {in_words}.",
        height=0.75 + ROW * len(rows),
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
        axes.set_yticks(range(len(times.rows)), [short(row.optimizer) for row in times.rows])
        axes.set_ylim(len(times.rows) - 0.5, -0.5)
        axes.set_xlim(0, 1.2 * longest)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("steps to the target (×: not within the budget)")

    in_words = "; ".join(f"{row.optimizer} {row.reached} of {row.runs} runs" for row in times.rows)
    return render(
        "steps-to-target",
        draw,
        title="Steps to the target",
        caption=f"When each run first had a validation {times.metric} of {times.target:.4g}; larger marks "
        "are several runs, the tick is the median. Runs are looked at once an epoch.",
        alt=f"Runs that had the target: {in_words}.",
        height=0.75 + ROW * len(times.rows),
    )


def _best_runs(report: Report) -> dict[str, list[TrialResult]]:
    """The confirm runs of each optimizer's best config, by label in the order of the ranking."""
    table = read_confirm_table(report.spec, report.trials)
    labels = [row.optimizer for row in report.recommendation.ranking]
    confirm = TrialSet(report.spec, report.trials).by_finalist
    best = {label: confirm.get(table.arms[table.best(label)].key, ()) for label in labels}
    return {label: [t.result for t in runs if t.result is not None] for label, runs in best.items()}


def _better(report: Report) -> str:
    return "left is better" if report.recommendation.direction == "minimize" else "right is better"
