"""What the figures of a report are made of that tell how far apart its finalists are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.figures.figure import Figure, Metric
from whichopt.service.figures.intervals import Bounded, behind_the_best
from whichopt.service.figures.intervals import seed_values as values_by_seed


def judged_by(report: Report) -> Metric:
    """Return the metric on the split that the verdicts rest on."""
    recommendation = report.recommendation
    return Metric(recommendation.metric, recommendation.direction, recommendation.split)


def searched_by(report: Report) -> Metric:
    """Return the metric on the split that the search went by."""
    return Metric(report.analysis.metric, report.analysis.direction)


def config_intervals(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    recommendation = report.recommendation
    rows = [
        Bounded(row.optimizer, row.difference.mean, row.difference.low, row.difference.high)
        for row in recommendation.ranking
        if row.difference is not None
    ]
    if len(rows) < 2:  # nobody to be behind
        return None
    return behind_the_best(
        rows,
        judged_by(report),
        tones,
        name="config-intervals",
        title="Configs: how far behind the best",
        caption="How much worse each optimizer's best config is than the best one of all, whichever that is: "
        "the mark is the mean difference to the one that did best here, the bar a simultaneous "
        f"{recommendation.level:.0%} interval. A bar that reaches zero leaves open that the config is the "
        "best itself; the verdict's paired tests may tell more than bars do."
        + left_out(report, [row.label for row in rows]),
        what="each optimizer's best config",
        width=width,
    )


def study_intervals(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    verdict = report.recommendation.optimizer_verdict
    if not verdict.differences:
        return None
    rows = [
        Bounded(row.optimizer, row.mean, row.low, row.high)
        for row in verdict.differences
        if row.mean is not None
    ]
    others = {row.optimizer for row in verdict.differences}
    best = next((label for label in report.spec.labels if label not in others), None)
    if best is not None:
        rows.insert(0, Bounded(best, 0.0, 0.0, 0.0))
    if not rows:
        return None
    return behind_the_best(
        rows,
        judged_by(report),
        tones,
        name="study-intervals",
        title="Optimizers: how far behind the best, by study",
        caption=f"The same for optimizers: means over {verdict.replicates} independent studies of each, "
        "whose bars count the luck of the search as well as that of the seeds. So they are wider."
        + left_out(report, [row.label for row in rows]),
        what="the study means of each optimizer",
        width=width,
    )


def seed_values(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    """Return the paired raw results: every fresh seed of each optimizer's best config."""
    table = read_confirm_table(report.spec, report.counted)
    best = {row.optimizer: table.best(row.optimizer) for row in report.recommendation.ranking}
    rows = {label: table.values[arm] for label, arm in best.items() if table.shown(arm)}
    if not rows:
        return None
    return values_by_seed(
        rows,
        judged_by(report),
        tones,
        worst=report.spec.workload.baseline,
        left_out=left_out(report, list(rows)),
        width=width,
    )


def left_out(report: Report, shown: Sequence[str]) -> str:
    """Name the optimizers that are not in a figure because one of their runs diverged."""
    others = [label for label in report.spec.labels if label not in shown]
    return f" Not shown, as runs diverged: {', '.join(others)}." if others else ""
