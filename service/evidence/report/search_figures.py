"""What the figures of a report are made of that tell how its search went, and what it found."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.finalist_figures import searched_by
from whichopt.service.figures import odds, progress, tuning
from whichopt.service.figures.coordinates import Tried, parallel_coordinates
from whichopt.service.figures.figure import Figure, Line, Point
from whichopt.service.states import Phase


def best_by_trials(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    return _best_so_far(report, tones, "trials", width)


def best_by_seconds(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    return _best_so_far(report, tones, "seconds", width)


def _best_so_far(
    report: Report, tones: Mapping[str, int], against: progress.Against, width: int
) -> Figure | None:
    lines = [
        Line(
            anytime.optimizer,
            tuple(
                Point(point.at, point.value, point.low, point.high)
                for point in (anytime.by_trials if against == "trials" else anytime.by_seconds)
                if point.value is not None
            ),
        )
        for anytime in report.analysis.anytime
    ]
    if not any(line.points for line in lines):
        return None
    return progress.best_so_far(
        lines,
        searched_by(report),
        tones,
        against=against,
        band=_band(report),
        worst=report.spec.workload.baseline,
        width=width,
    )


def _band(report: Report) -> str:
    kinds: set[str] = {anytime.band for anytime in report.analysis.anytime}
    level = next((anytime.level for anytime in report.analysis.anytime if anytime.level is not None), None)
    if kinds == {"range"}:
        return f"The band runs from the lowest study to the highest ({level:.0%} for the median study)."
    if kinds == {"bootstrap"}:
        return f"The band is a {level:.0%} bootstrap over studies."
    return ""


def expected_best(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    """Return the random part of the search, if it has more than a point or two."""
    lines = [
        Line(
            expected.optimizer,
            tuple(
                Point(point.trials, point.unbiased, point.low, point.high)
                for point in expected.points
                if point.unbiased is not None
            ),
        )
        for expected in report.analysis.expected_best
    ]
    lines = [line for line in lines if len(line.points) > 2]
    return progress.expected_best(lines, searched_by(report), tones, width=width) if lines else None


def probability_by_trials(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    steps = report.analysis.advice.steps
    if len(steps) < 2 or len(report.spec.labels) < 2:
        return None
    return odds.odds_by_trials(
        [
            odds.Odds(step.trials, {row.optimizer: row.probability_best for row in step.rows})
            for step in steps
        ],
        tones,
        width=width,
    )


def lr_tiles(report: Report, tones: Mapping[str, int], width: int) -> list[Figure]:
    """Return one small figure an optimizer that searched its lr, all on the same axes."""
    metric = searched_by(report)
    tiles = {
        one.optimizer: [
            tuning.Rate(point.lr, point.value, point.excess) for point in one.points if point.lr is not None
        ]
        for one in report.analysis.sensitivity
        if one.range_decades is not None and one.complete
    }
    ranges = tuning.lr_ranges(tiles, metric, worst=report.spec.workload.baseline)
    if ranges is None:
        return []
    return [
        tuning.lr_tile(label, points, metric, tones, ranges, width=width) for label, points in tiles.items()
    ]


def coordinates(report: Report, label: str, tones: Mapping[str, int], width: int) -> Figure | None:
    """Return the figure of one optimizer's search trials; None if it has too few."""
    trials = [
        Tried(trial.plan.config, trial.result.value)
        for trial in report.trials
        if trial.plan.label == label
        and trial.plan.phase is Phase.SEARCH
        and trial.result is not None
        and trial.result.value is not None
    ]
    return parallel_coordinates(
        label,
        trials,
        report.spec.optimizer(label).searched,
        searched_by(report),
        tones,
        worst=report.spec.workload.baseline,
        width=width,
    )
