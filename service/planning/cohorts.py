"""Divides the trials of a round into cohorts, the units that are leased. This changes no result."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

from whichopt.service.trials import TrialPlan


class _Labeled(Protocol):
    @property
    def label(self) -> str: ...


LabeledT = TypeVar("LabeledT", bound=_Labeled)

COHORT_TRIALS: Mapping[str, int] = {"solo": 4, "stacked": 32, "guest": 4}
"""Most trials in a cohort, by executor. Alone they gain nothing from company, so small units spread best."""

COHORT_LEAST: Mapping[str, int] = {"stacked": 4}
"""Executors whose trials gain from company, and the fewest that are a cohort if a round has more."""


COHORT_ALIKE = 8
"""Trials in a cohort if its size may not depend on the workers: enough to gain from company, and few enough
that several workers have something to do."""


def cut(
    groups: Sequence[Sequence[TrialPlan]], executors: Mapping[str, str], workers: int | None
) -> list[list[TrialPlan]]:
    """Return the cohorts of a round, whose trials share their seeds within a group.

    A cohort has one executor: trials of labels with another are in cohorts of their own. `executors` has
    each label's.

    If company helps, the whole round is cut, into as many cohorts for one worker as for any other. As the
    optimizers take turns within a group, all cohorts have about the same mix of them, and so the same cost.

    Without `workers` the cut is the same for any number of them: a trial's result that depends on its company
    then depends on nothing but the spec.
    """
    cohorts = []
    for executor in dict.fromkeys(executors.values()):
        of_executor = [[plan for plan in group if executors[plan.label] == executor] for group in groups]
        cohorts += _cut([group for group in of_executor if group], executor, workers)
    return cohorts


def _cut(groups: Sequence[list[TrialPlan]], executor: str, workers: int | None) -> list[list[TrialPlan]]:
    """Return the cohorts of the trials of one executor."""
    most, least = COHORT_TRIALS[executor], COHORT_LEAST.get(executor)
    if least is None:
        return [cohort for plans in groups for cohort in _chunks(plans, math.ceil(len(plans) / most))]
    plans = [plan for group in groups for plan in group]
    if not plans:
        return []
    if workers is None:
        return _chunks(plans, math.ceil(len(plans) / COHORT_ALIKE))
    even = workers * math.ceil(len(plans) / (workers * most))
    return _chunks(plans, max(1, min(even, len(plans) // least)))


def _chunks(plans: list[TrialPlan], count: int) -> list[list[TrialPlan]]:
    """`plans` in order, in `count` chunks of near equal size."""
    return [plans[start:end] for start, end in pairwise([0, *ends(len(plans), count)])]


def joined(cohorts: Sequence[Sequence[TrialPlan]], most: int) -> list[list[TrialPlan]]:
    """Return the same trials in the same order, `most` to a cohort: for a process that trains all of them.

    It trains several at a time, and at the end of each cohort all but one of its places wait for the last.
    """
    plans = [plan for cohort in cohorts for plan in cohort]
    return [plans[start : start + most] for start in range(0, len(plans), most)]


def ends(total: int, count: int) -> list[int]:
    """Return the end of each of `count` nearly equal parts of `total` things."""
    return [round(total * i / count) for i in range(1, count + 1)]


def spread(things: Sequence[LabeledT]) -> list[LabeledT]:
    """`things` in an order in which those of each label are spread evenly: they take turns if each label
    has as many."""
    of = Counter(thing.label for thing in things)
    before: Counter[str] = Counter()
    places = []
    for thing in things:
        places.append((before[thing.label] + 0.5) / of[thing.label])
        before[thing.label] += 1
    return [things[i] for i in sorted(range(len(things)), key=places.__getitem__)]
