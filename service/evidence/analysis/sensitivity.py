"""The sensitivity to the config, and to its learning rate above all."""

from __future__ import annotations

import math

from whichopt.service.evidence.analysis.job_data import Attempt, JobData
from whichopt.service.evidence.analysis.shapes import Sensitivity, SensitivityPoint
from whichopt.service.space import Float
from whichopt.service.states import Origin, TrialState

TOLERANCE = 0.05

METHOD = (
    "A config is near the best if its validation value is within 5% of the best one of its own study, whose "
    "trials share its seeds (for a best value b, up to b + 0.05 |b| if lower is better). The sampler "
    "prefers good regions, so the share among the random trials (diverged ones included) says more about "
    "the space. Width: decades between the lowest and the highest lr of near configs, over all studies "
    "and regardless of their other hyperparameters. Configs in between may be worse, and untried ones "
    "beyond may be near, so the width grows with the number of trials."
)


def sensitivity(data: JobData, label: str) -> Sensitivity:
    best = {study.replicate: study.best for study in data.studies[label]}
    overall = _overall(data)
    tried = [(study.replicate, a) for study in data.studies[label] for a in study.attempts]
    near = [attempt for replicate, attempt in tried if _near(attempt, best[replicate])]
    random = [attempt for _, attempt in tried if attempt.origin is Origin.RANDOM]
    ended = [attempt.ending for _, attempt in tried]
    complete = ended.count(TrialState.COMPLETE)
    rates = sorted(attempt.lr for attempt in near if attempt.lr is not None and attempt.lr > 0)
    return Sensitivity(
        optimizer=label,
        tolerance=TOLERANCE,
        trials=len(tried),
        complete=complete,
        diverged=ended.count(TrialState.DIVERGED),
        pruned=ended.count(TrialState.PRUNED),
        near=len(near),
        share_near=len(near) / complete if complete else None,
        share_diverged=ended.count(TrialState.DIVERGED) / len(tried) if tried else None,
        random_trials=len(random),
        random_share_near=sum(a.origin is Origin.RANDOM for a in near) / len(random) if random else None,
        near_overall=sum(_near(attempt, overall[replicate]) for replicate, attempt in tried),
        lr_decades=math.log10(rates[-1] / rates[0]) if rates else None,
        lr_low=rates[0] if rates else None,
        lr_high=rates[-1] if rates else None,
        range_decades=_range(data, label),
        points=[
            SensitivityPoint(
                lr=attempt.lr,
                value=data.value(attempt.loss),
                excess=_excess(attempt, best[replicate]),
                replicate=replicate,
                state=attempt.ending,
            )
            for replicate, attempt in tried
        ],
    )


def _overall(data: JobData) -> dict[int, float | None]:
    """The lowest loss of each replicate, over all optimizers."""
    lowest: dict[int, float | None] = {}
    for studies in data.studies.values():
        for study in studies:
            known = [loss for loss in (study.best, lowest.get(study.replicate)) if loss is not None]
            lowest[study.replicate] = min(known, default=None)
    return lowest


def _near(attempt: Attempt, best: float | None) -> bool:
    return attempt.loss is not None and best is not None and attempt.loss <= best + TOLERANCE * abs(best)


def _excess(attempt: Attempt, best: float | None) -> float | None:
    if attempt.loss is None or not best:
        return None
    excess = attempt.loss / abs(best) - math.copysign(1.0, best)
    return excess if math.isfinite(excess) else None


def _range(data: JobData, label: str) -> float | None:
    dimension = data.spec.optimizer(label).searched.get("lr")
    if not isinstance(dimension, Float) or dimension.low <= 0:
        return None
    return math.log10(dimension.high / dimension.low)
