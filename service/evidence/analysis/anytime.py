"""The best validation value so far, against trials and against seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from whichopt.service.evidence.analysis.job_data import JobData, Study
from whichopt.service.evidence.analysis.shapes import Anytime, CurvePoint, StudyTrace
from whichopt.service.evidence.statistics.estimates import mean

METHOD = (
    "The best validation value so far in a study, in the order of its trials; the mean over the studies. "
    "Diverged and pruned trials do not improve it, but count as trials and seconds. Seconds add up the "
    "study's own trials, as if they ran one after another; they are not wall-clock time. Bands: with 5 or "
    "more studies, a 90% percentile bootstrap over studies; with 2 to 4, for which that would be too "
    "narrow, the lowest and the highest study, which enclose the median study with probability "
    "1 - 2^(1 - studies); with 1, none. Null while a study has no complete trial."
)

LEVEL = 0.9
BOOTSTRAP_STUDIES = 5
DRAWS = 2000
POINTS = 200
"""Most points of a curve; a longer one is thinned evenly."""

_STREAM = 20_260_102

Band = Literal["none", "range", "bootstrap"]
Ends = tuple[float | None, float | None]


@dataclass(frozen=True)
class Trace:
    """A study's incumbent: its lowest loss (None before the first) and its cost, after each trial."""

    losses: tuple[float | None, ...]
    seconds: tuple[float, ...]

    def after(self, trials: float) -> float | None:
        return self.losses[int(trials) - 1]

    def at(self, seconds: float) -> float | None:
        ended = bisect_right(self.seconds, seconds)
        return self.losses[ended - 1] if ended else None


def trace(study: Study) -> Trace:
    lowest = accumulate((attempt.rank for attempt in study.attempts), min)
    losses = tuple(None if loss == float("inf") else loss for loss in lowest)
    return Trace(losses, tuple(accumulate(attempt.seconds for attempt in study.attempts)))


def anytime(data: JobData, label: str) -> Anytime:
    studies = data.studies[label]
    traces = [trace(study) for study in studies]
    shortest = min((len(t.losses) for t in traces), default=0)
    end = min((t.seconds[-1] for t in traces), default=0.0)
    moments = sorted({s for t in traces for s in t.seconds if s <= end})
    band, level = _band(len(studies))
    return Anytime(
        optimizer=label,
        band=band,
        level=level,
        by_trials=_curve(data, thinned(range(1, shortest + 1)), [t.after for t in traces], band),
        by_seconds=_curve(data, thinned(moments), [t.at for t in traces], band),
        studies=[
            _shown(data, study.replicate, trace_of) for study, trace_of in zip(studies, traces, strict=True)
        ],
    )


def thinned(places: Sequence[float], most: int = POINTS) -> list[float]:
    """At most `most` of them, evenly, the first and the last among them."""
    if len(places) <= most:
        return list(places)
    return [places[round(i * (len(places) - 1) / (most - 1))] for i in range(most)]


def _band(studies: int) -> tuple[Band, float | None]:
    if studies >= BOOTSTRAP_STUDIES:
        return "bootstrap", LEVEL
    return ("range", 1 - 2.0 ** (1 - studies)) if studies > 1 else ("none", None)


def _curve(
    data: JobData,
    places: Sequence[float],
    incumbents: Sequence[Callable[[float], float | None]],
    band: Band,
) -> list[CurvePoint]:
    losses = [[incumbent(place) for incumbent in incumbents] for place in places]
    rows = [[loss for loss in row if loss is not None] for row in losses]
    complete = [len(row) == len(incumbents) for row in rows]
    ends = iter(
        _ends([row for row, is_complete in zip(rows, complete, strict=True) if is_complete], band, data)
    )
    points = []
    for place, row, is_complete in zip(places, rows, complete, strict=True):
        low, high = data.band(*next(ends)) if is_complete else (None, None)
        value = data.value(mean(row)) if is_complete else None
        points.append(CurvePoint(at=place, value=value, low=low, high=high))
    return points


def _ends(rows: Sequence[Sequence[float]], band: Band, data: JobData) -> Sequence[Ends]:
    """The band at each row, which has a loss for every study."""
    if band == "none" or not rows:
        return [(None, None)] * len(rows)
    if band == "range":
        return [(min(row), max(row)) for row in rows]
    import numpy as np

    losses = np.asarray(rows).T
    studies = len(losses)
    random = np.random.default_rng([_STREAM, data.spec.seed])
    means = losses[random.integers(studies, size=(DRAWS, studies))].mean(axis=1)
    lows, highs = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def _shown(data: JobData, replicate: int, incumbent: Trace) -> StudyTrace:
    last = len(incumbent.losses) - 1
    changes = [i for i in range(last + 1) if i in (0, last) or incumbent.losses[i] != incumbent.losses[i - 1]]
    return StudyTrace(
        replicate=replicate,
        trials=[i + 1 for i in changes],
        seconds=[incumbent.seconds[i] for i in changes],
        values=[data.value(incumbent.losses[i]) for i in changes],
    )
