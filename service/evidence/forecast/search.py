"""Forecasts what the remaining trials of a search may still gain.

The estimates are simple. Trials are taken as exchangeable, which is true of random ones (TPE's later ones are
better), so the best of n + m is among the last m with probability m / (n + m). Each further doubling of the
trials is taken to improve the best value by as much as the last doubling did, which is generous, because
returns diminish. That improvement is read off the expected best of k of the n values (the U-statistic of Tang
et al. 2020, "Showing Your Work Doesn't Always Work").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from whichopt.service.evidence.analysis.expected import without_replacement
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial
from whichopt.service.views import SearchForecast


def search_forecast(spec: ResolvedSpec, label: str, trials: Sequence[Trial]) -> SearchForecast:
    """Return the forecast of the search of one optimizer."""
    sign = spec.goal.sign
    ended = [trial for trial in TrialSet(spec, trials).searched if trial.plan.label == label]
    losses = sorted(
        sign * t.result.value for t in ended if t.result is not None and t.result.value is not None
    )
    left = max(0, spec.trials_of(label) - len(ended))
    return SearchForecast(
        optimizer=label,
        trials=len(ended),
        trials_left=left,
        best_value=sign * losses[0] if losses else None,
        probability_better=left / (left + len(ended)) if losses else None,
        expected_best=_extrapolated(losses, len(ended), left, sign),
    )


def _extrapolated(losses: Sequence[float], ended: int, left: int, sign: float) -> float | None:
    """Return the best value expected after `left` more trials, if each doubling gains what the last one did.

    Trials without a value (pruned or diverged) are worse than the others, and count as the worst of them.
    """
    if not losses or ended < 4:
        return None
    padded = [*losses, *[losses[-1]] * (ended - len(losses))]
    doubling = expected_best(padded, ended // 2) - padded[0]
    return sign * (padded[0] - doubling * math.log2((ended + left) / ended))


def expected_best(ascending: Sequence[float], k: int) -> float:
    """Return the expected least of k of the values, drawn without replacement."""
    weights = without_replacement(len(ascending), k)
    return math.fsum(value * weight for value, weight in zip(ascending, weights, strict=True))
