"""How well a trial that is trained again must agree with its report: to the bit, or within a tolerance."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from whichopt.service.evidence.report.document import Report
from whichopt.service.records import RecordedTrial
from whichopt.service.states import Agreement as Promise
from whichopt.service.states import Phase, TrialState
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Point, Trial, TrialResult
from whichopt.workers.engine.agree import agreement as promised_here
from whichopt.workers.reported import TOLERANCE, Agreement, spread
from whichopt.workers.retrained import Retrained


@dataclass(frozen=True)
class Tolerances:
    """The most that a value may differ, by label, on the split of confirm and on the validation split.

    Each is TOLERANCE of the standard deviation between fresh seeds, pooled over the label's configs, or over
    those of all labels for one that has no config with two values.
    """

    confirm: Mapping[str, float | None]
    validation: Mapping[str, float | None]

    @classmethod
    def of(cls, report: Report) -> Self:
        """Return the tolerances for trials of the report."""
        metric, confirm, validation = report.spec.goal.metric, {}, {}
        rows: dict[str, list[Sequence[TrialResult]]] = defaultdict(list)
        for (label, _), trials in TrialSet(report.spec, report.trials).by_finalist.items():
            rows[label].append([trial.result for trial in trials if trial.result is not None])
        every = [row for own in rows.values() for row in own]
        for label in dict.fromkeys(trial.plan.label for trial in report.trials):
            own = rows.get(label, [])
            confirm[label] = _pooled(map(_values, own)) or _pooled(map(_values, every))
            on_validation = [_validation(row, metric) for row in own]
            validation[label] = _pooled(on_validation) or _pooled(_validation(row, metric) for row in every)
        return cls(confirm, validation)

    def of_trial(self, trial: Trial) -> float | None:
        """Return the tolerance of the trial's value; None if nothing tells the spread."""
        label = trial.plan.label
        return (self.confirm if trial.plan.phase is Phase.CONFIRM else self.validation).get(label)

    def of_curve(self, trial: Trial) -> float | None:
        """Return the tolerance of a point of the curve that configs are selected by."""
        return self.validation.get(trial.plan.label)


def _values(row: Sequence[TrialResult]) -> list[float]:
    return [result.value for result in row if result.value is not None]


def _validation(row: Sequence[TrialResult], metric: str) -> list[float]:
    scores = [result.metrics.get("validation", {}).get(metric) for result in row if result.value is not None]
    return [score for score in scores if score is not None]


def _pooled(rows: Iterable[Sequence[float]]) -> float | None:
    """Return TOLERANCE of the pooled standard deviation within rows; None if no row has two values."""
    variances = [(len(row) - 1, spread(row) ** 2) for row in rows if len(row) > 1]
    weight = sum(df for df, _ in variances)
    if not weight:
        return None
    return TOLERANCE * math.sqrt(math.fsum(df * variance for df, variance in variances) / weight)


def trial_agreement(
    before: TrialResult, after: TrialResult, of_value: float | None, of_curve: float | None, *, curve: str
) -> Agreement:
    """Tell how well a trial that was trained again agrees with what was reported of it.

    Args:
        before: what the report says.
        after: what training it again gave.
        of_value: the most that its value may differ; None if it must be the same.
        of_curve: the most that a point of its curve may differ, which counts if one of the two was pruned.
        curve: the name of that curve.
    """
    if before.model_copy(update={"seconds": 0.0}) == after.model_copy(update={"seconds": 0.0}):
        return "same bits"
    diverged = [result.state is TrialState.DIVERGED for result in (before, after)]
    if any(diverged):
        ours, theirs = before.reference or {}, after.reference or {}
        alike = all(diverged) and _near_all(ours, theirs, of_value)
        return "within tolerance" if alike else "differs"
    if before.value is not None and after.value is not None:
        return "within tolerance" if _near(before.value, after.value, of_value) else "differs"
    points = [_by_examples(one.curves.get(curve, ())) for one in (before, after)]
    shared = points[0].keys() & points[1].keys()
    last = max(shared, default=None)
    near = last is not None and _near(points[0][last], points[1][last], of_curve)
    return "within tolerance" if near else "differs"


def _near(one: float, other: float, tolerance: float | None) -> bool:
    return tolerance is not None and abs(one - other) <= tolerance


def _near_all(one: Mapping[str, float], other: Mapping[str, float], tolerance: float | None) -> bool:
    return one.keys() == other.keys() and all(_near(one[name], other[name], tolerance) for name in one)


def _by_examples(points: Iterable[Point]) -> dict[int, float]:
    return {point.examples: point.value for point in points}


def unlike_there(report: Report, environment: int | None, found: Retrained) -> list[str]:
    """Return what trained here otherwise than there; of an environment that nobody recorded, that."""
    if environment is None:
        return ["what trained it was not recorded"]
    return report.environments[environment].unlike(found.here)


def promises_bits(report: Report, trial: RecordedTrial, found: Retrained) -> bool:
    """Tell if the trial gives the same bits here as there, so that nothing less than these agrees.

    It does if what trains it is alike. A catalog's trial may then depend on its company, unless the job and
    this machine say that it does not; a function's depends on what the rehearsal saw of it.
    """
    if found.edited or unlike_there(report, trial.environment, found):
        return False
    guest = report.spec.guest
    if guest is not None:
        return guest.rehearsed is not None and guest.rehearsed.repeats == "bits"
    same = promised_here(report.job.queue) is Promise.BITS
    return same and report.spec.agreement != "close" and not found.other_facts.get(trial.plan.optimizer)
