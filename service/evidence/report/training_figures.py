"""What the figures of a report are made of that tell how its finalists learn, and what that costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.finalist_figures import judged_by, left_out, searched_by
from whichopt.service.evidence.statistics.estimates import mean_estimate
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.figures import costs, progress, tuning
from whichopt.service.figures.figure import Figure, Line, Metric, Point
from whichopt.service.states import Phase
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import TrialResult

BAND = 0.025
"""Beyond each end of a band around a mean curve."""


def curves(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    """Return the mean validation curve of each optimizer's best config over the fresh seeds."""
    goal, own = report.spec.goal, report.spec.guest is not None
    ends = "Lines end with the shortest run." if own else "The last point counts; nobody picks an epoch."
    epoch = report.spec.sizes.train
    lines = []
    for label, runs in best_runs(report).items():
        points = [run.curves.get(goal.curve, []) for run in runs]
        diverged = any(run.value is None for run in runs)  # a mean over the others would flatter it
        uneven = len({len(curve) for curve in points}) > 1
        if diverged or not points or not points[0] or (uneven and not own):
            continue
        # A function may stop by itself: what all runs have is shown.
        estimates = [
            (at[0].examples / epoch, mean_estimate([point.value for point in at]))
            for at in zip(*points, strict=not own)
        ]
        lines.append(
            Line(
                label,
                tuple(Point(at, one.mean, *one.bounds(BAND)) for at, one in estimates),
            )
        )
    if not any(line.points for line in lines):
        return None
    return progress.learning_curves(
        lines,
        Metric(goal.metric, goal.direction),
        tones,
        title="How the finalists learn",
        caption=f"Mean validation {goal.metric} of each optimizer's best config over the fresh seeds, with a "
        f"95% band for the mean at each point. {ends}" + left_out(report, [line.label for line in lines]),
        worst=report.spec.workload.baseline,
        width=width,
    )


def default_and_tuned(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    return tuning.default_against_tuned(
        [
            tuning.Tuned(row.optimizer, row.default_value, row.tuned_value)
            for row in report.analysis.tunability
        ],
        judged_by(report),
        tones,
        worst=report.spec.workload.baseline,
        width=width,
    )


def seconds_used(report: Report, tones: Mapping[str, int], width: int) -> Figure:
    used: dict[str, dict[Phase, float]] = defaultdict(dict)
    for row in report.analysis.ledger:
        used[row.optimizer][row.phase] = row.seconds
    rows = [
        costs.Used(label, seconds.get(Phase.SEARCH, 0.0), seconds.get(Phase.CONFIRM, 0.0))
        for label, seconds in used.items()
    ]
    return costs.seconds_used(rows, tones, unit=report.spec.unit, width=width)


def steps_to_target(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    """Return when each run of the best configs first had the target."""
    times = report.analysis.time_to_target
    if times is None:
        return None
    rows = [costs.Reached(row.optimizer, tuple(row.steps), row.median_steps) for row in times.rows]
    return costs.steps_to_target(rows, searched_by(report), times.target, tones, width=width)


def best_runs(report: Report) -> dict[str, list[TrialResult]]:
    """Return the confirm runs of each optimizer's best config, by label in the order of the ranking."""
    table = read_confirm_table(report.spec, report.counted)
    labels = [row.optimizer for row in report.recommendation.ranking]
    confirm = TrialSet(report.spec, report.counted).by_finalist
    best = {label: confirm.get(table.arms[table.best(label)].key, ()) for label in labels}
    return {label: [t.result for t in runs if t.result is not None] for label, runs in best.items()}
