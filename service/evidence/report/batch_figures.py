"""What the figures of a report are made of that tell how the batches of its finalists grew."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.batches import NOISE_CURVE, SIZE_CURVE, first_size, last_size
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.training_figures import best_runs
from whichopt.service.figures import batches
from whichopt.service.figures.batches import Grown
from whichopt.service.figures.figure import Figure
from whichopt.service.training_words import growing_part

RUNS = "fresh-seed runs of each optimizer's best config"


def batch_sizes(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    """Return how the batches of the finalists grew; None if those of none did."""
    grown = _grown(report)
    return batches.batch_sizes(grown, tones, runs=RUNS, width=width) if grown else None


def batch_noise(report: Report, tones: Mapping[str, int], width: int) -> Figure | None:
    """Return the noise that they grew by."""
    return batches.batch_noise(_grown(report), tones, runs=RUNS, width=width)


def _grown(report: Report) -> list[Grown]:
    """Return the finalists whose batches grow; a run that diverged has its curves up to there."""
    runs = best_runs(report)
    found = []
    for row in report.recommendation.ranking:
        own = growing_part(report.spec, row.optimizer, row.config)
        sizes, noise = (
            [
                [(point.examples, point.value) for point in run.curves.get(name, [])]
                for run in runs[row.optimizer]
            ]
            for name in (SIZE_CURVE, NOISE_CURVE)
        )
        if own is not None and any(sizes):
            found.append(Grown(row.optimizer, first_size(own), last_size(own), sizes, noise))
    return found
