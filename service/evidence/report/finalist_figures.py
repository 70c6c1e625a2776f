"""The figures of a report that tell how far apart its finalists are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.svg import (
    FAINT,
    INK,
    Figure,
    LineStyle,
    label_rows,
    plain_log,
    render,
    rows_height,
    spread_over_decades,
)
from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bounded = tuple[str, float, float | None, float | None]
"""(label, mean, low, high)."""


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
        f"{recommendation.level:.0%} interval. A bar that reaches zero leaves "
        "open that the config is the best itself; the verdict's paired tests may tell more than bars do."
        + left_out(report, [row[0] for row in rows]),
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
        + left_out(report, [row[0] for row in rows]),
        what="Differences between the study means of each optimizer and of the best one",
    )


def left_out(report: Report, shown: Sequence[str]) -> str:
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
        label_rows(axes, [label for label, *_ in rows])
        axes.set_xlim(max(lowest, -most) - 0.04 * most, 1.02 * most)
        axes.set_xlabel(xlabel)

    in_words = "; ".join(
        f"{label} {center:.3g}" + ("" if low is None or high is None else f" ({low:.3g} to {high:.3g})")
        for label, center, low, high in rows
    )
    return render(
        name, draw, title=title, caption=caption, alt=f"{what}: {in_words}.", height=rows_height(len(rows))
    )


def seed_values(report: Report, styles: dict[str, LineStyle]) -> Figure | None:
    """The paired raw results: every fresh seed of each optimizer's best config."""
    recommendation = report.recommendation
    table = read_confirm_table(report.spec, report.counted)
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
        label_rows(axes, [label for label, _ in rows])
        axes.set_xlabel(f"{recommendation.split} {recommendation.metric} ({better(report)})")

    in_words = "; ".join(f"{label} mean {mean(v):.4g}, {min(v):.4g} to {max(v):.4g}" for label, v in rows)
    return render(
        "seed-values",
        draw,
        title="The runs behind it",
        caption="One mark a fresh seed, for each optimizer's best config; the tick is the mean. A gray line "
        "joins the runs of one seed: they start and see the data alike, so they are compared pair by pair."
        + left_out(report, [label for label, _ in rows]),
        alt=f"{recommendation.split.capitalize()} {recommendation.metric} on each of {len(rows[0][1])} "
        f"fresh seeds: {in_words}.",
        height=rows_height(len(rows)),
    )


def better(report: Report) -> str:
    return "left is better" if report.recommendation.direction == "minimize" else "right is better"
