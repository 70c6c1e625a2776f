"""The time after which each optimizer's best finalist reaches a good value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, TypeVar

from whichopt.service.errors import InvalidSpec
from whichopt.service.evidence.analysis.job_data import JobData
from whichopt.service.evidence.analysis.shapes import TargetTimes, TimeToTarget
from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.evidence.verdict.winners import ranked
from whichopt.service.states import TrialState
from whichopt.service.trials import Point, TrialResult

METHOD = (
    "The first evaluation at which the validation value is as good as the target, for each optimizer's best "
    "finalist (the one in the ranking) over the fresh seeds. The target, unless given, is the median final "
    "validation value of the second-best optimizer of the ranking. It is a validation value because the "
    "test split is scored only once per run, at its end. Runs that never reach it, or diverge, are "
    "censored: the median is the time by which half of all runs reached it, and the restricted mean "
    "counts censored runs with the whole budget, so it is a lower bound. Ratios compare each median with "
    "the lowest one. Resolution: one evaluation. Seconds are the run's share of a stack, in proportion to "
    "its steps."
)

Number = TypeVar("Number", int, float)
Source = Literal["second best", "only optimizer", "given"]


def time_to_target(data: JobData, target: float | None) -> TimeToTarget | None:
    """None without a complete confirm run.

    Raises:
        InvalidSpec: `target` is not finite.
    """
    if target is not None and not math.isfinite(target):
        raise InvalidSpec(
            f"target {target} is not a value to reach",
            field="target",
            value=str(target),
            allowed="any number",
        )
    runs = {label: data.best_runs(label) for label in data.spec.labels}
    chosen: tuple[float, Source, str | None] | None = (
        _target(data, runs) if target is None else (data.sign * target, "given", None)
    )
    finals = [run for finished in runs.values() for run in finished if run.value is not None]
    full = max((run.steps for run in finals), default=0)
    if chosen is None or not full:
        return None
    loss, source, of = chosen  # `full`: the steps of the whole budget
    times = {label: [_reached(data, run, loss) for run in finished] for label, finished in runs.items()}
    return TimeToTarget(
        target=data.sign * loss,
        source=source,
        of=of,
        metric=data.metric,
        rows=_with_ratios([_row(label, runs[label], points, full) for label, points in times.items()]),
    )


def _target(
    data: JobData, runs: Mapping[str, Sequence[TrialResult]]
) -> tuple[float, Source, str | None] | None:
    """The second-best optimizer's median final loss; the best one's, if no other has a complete run."""
    if data.table is None:
        return None
    finals = {
        label: [loss for run in runs[label] if (loss := data.loss_on("validation", run)) is not None]
        for label in ranked(data.table)
    }
    known = [label for label, losses in finals.items() if losses]
    if not known:
        return None
    of = known[min(1, len(known) - 1)]
    return median(finals[of]), "second best" if len(known) > 1 else "only optimizer", of


def _reached(data: JobData, run: TrialResult, loss: float) -> Point | None:
    """Return the point at which the run first reached `loss`; None if it never did, or diverged."""
    if run.state is not TrialState.COMPLETE:
        return None
    final = data.loss_on("validation", run)
    curve = run.curves.get(data.spec.goal.curve, [])
    if not curve and final is not None:
        curve = [Point(run.steps, run.examples, data.sign * final)]
    return next((point for point in curve if data.sign * point.value <= loss), None)


def _row(label: str, runs: Sequence[TrialResult], points: Sequence[Point | None], full: int) -> TargetTimes:
    paces = [run.seconds / run.steps if run.steps else 0.0 for run in runs]
    steps = [None if point is None else point.step for point in points]
    seconds = [
        None if point is None else pace * point.step for point, pace in zip(points, paces, strict=True)
    ]
    return TargetTimes(
        optimizer=label,
        runs=len(runs),
        reached=sum(point is not None for point in points),
        median_steps=_median(steps),
        median_examples=_median([None if point is None else point.examples for point in points]),
        median_seconds=_median(seconds),
        restricted_steps=mean([full if step is None else step for step in steps]),
        restricted_seconds=mean(
            [pace * full if s is None else s for s, pace in zip(seconds, paces, strict=True)]
        ),
        ratio_steps=None,
        ratio_seconds=None,
        steps=steps,
        seconds=seconds,
    )


def _median(times: Sequence[Number | None]) -> Number | None:
    """The lower median of censored times: by then at least half of the runs were there."""
    known = sorted(time for time in times if time is not None)
    middle = (len(times) - 1) // 2
    return known[middle] if middle < len(known) else None


def _with_ratios(rows: list[TargetTimes]) -> list[TargetTimes]:
    steps = min((row.median_steps for row in rows if row.median_steps), default=None)
    seconds = min((row.median_seconds for row in rows if row.median_seconds), default=None)
    return [
        row.model_copy(
            update={
                "ratio_steps": row.median_steps / steps if steps and row.median_steps else None,
                "ratio_seconds": row.median_seconds / seconds if seconds and row.median_seconds else None,
            }
        )
        for row in rows
    ]
