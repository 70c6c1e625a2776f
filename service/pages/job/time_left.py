"""The time that is left of a job, by the clock, in the parts in which its rail shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from whichopt.service.forecasts import RoundForecast, Used
from whichopt.service.planning.looks import most_runs
from whichopt.service.planning.training_time import clock_of
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase


@dataclass(frozen=True)
class TimeLeft:
    """Seconds that the search, and that confirm at its longest still take; None if nothing tells."""

    search: float | None = None
    confirm: float | None = None


def time_left(
    spec: ResolvedSpec,
    used: Mapping[tuple[str, Phase], Used],
    known: RoundForecast | None,
    started_at: datetime | None,
    last: datetime | None,
) -> TimeLeft:
    """Return the time that is left if every trial takes as long as its label's took so far.

    Args:
        used: the results by now, and the training seconds that they took.
        known: the forecast of the last round that has ended; without one nothing is said of confirm.
        started_at: the time of the first claim; `last` is that of the last result.
    """
    if started_at is None or last is None:
        return TimeLeft()
    elapsed_s = (last - started_at).total_seconds()
    ratio = clock_of(math.fsum(one.seconds for one in used.values()), elapsed_s)
    if ratio is None or elapsed_s <= 0:
        return TimeLeft()
    return TimeLeft(search=_search(spec, used, ratio, elapsed_s), confirm=_confirm(spec, used, known, ratio))


def _search(
    spec: ResolvedSpec, used: Mapping[tuple[str, Phase], Used], ratio: float, elapsed_s: float
) -> float | None:
    if spec.budget.minutes is not None:
        return None if spec.budget.settled is None else max(0.0, 60 * spec.budget.minutes - elapsed_s)
    own = {label: used[label, Phase.SEARCH] for label in spec.labels if (label, Phase.SEARCH) in used}
    if not own:
        return None
    usual = math.fsum(one.seconds for one in own.values()) / sum(one.results for one in own.values())
    left = 0.0
    for label in spec.labels:
        done = own.get(label, Used(0, 0.0))
        each = done.seconds / done.results if done.results else usual
        left += each * max(0, spec.trials_of(label) - done.results)
    return left * ratio


def _confirm(
    spec: ResolvedSpec, used: Mapping[tuple[str, Phase], Used], known: RoundForecast | None, ratio: float
) -> float | None:
    seed = None if known is None else known.seed_seconds
    if known is None or seed is None:
        return None
    finalists = len(known.finalists)
    runs = finalists + (spec.today is not None)
    done = sum(one.results for (_, phase), one in used.items() if phase is Phase.CONFIRM)
    return seed / runs * max(0, most_runs(spec, finalists) - done) * ratio if runs else None
