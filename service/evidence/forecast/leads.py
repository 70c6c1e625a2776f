"""The chance of each optimizer to lead when the search has ended, and that the best value so far is beaten.

The trials that are left are drawn from what their own study has found so far. They are taken as exchangeable
with the ones before, so that each of m beats the best of n as `search` has it: at least one of them does with
probability m / (n + m), and the k best of all are among them with the product of (m - i) / (n + m - i) over
i < k. By how much is drawn from an exponential tail, whose scale is that of the study's best quarter: the
mean excess of its order statistics (Hill 1975, Annals of Statistics 3: 1163-1174, has the same for
logarithms). Then each doubling of the trials gains as much as the last one, as `search` assumes. TPE's trials
are better than exchangeable ones, and returns diminish; the two pull in opposite directions. The figures are
shown while a search runs. Nothing is decided by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 512
"""Number of simulated ends of the search: a probability of 0.1 has a Monte Carlo error of 0.013."""

FEWEST = 4
"""Trials with a result that each optimizer needs before anything is said of who leads at the end."""

_SEED = 20_261_130
_MOST_BETTER = 32
"""Trials that beat the best one so far, of which more are not told apart."""


@dataclass(frozen=True)
class StudySoFar:
    """A study in the middle of its search.

    `losses` are the values of its complete trials, less being better; `ended` counts the trials with a
    result, which may have no value, and `left` those that are still to come.
    """

    losses: tuple[float, ...]
    ended: int
    left: int


@dataclass(frozen=True)
class Leads:
    """The chance of each label to have the best value in the end, and that any beats the best one so far."""

    chances: Mapping[str, float]
    beaten: float


def leads(studies: Mapping[str, Sequence[StudySoFar]]) -> Leads | None:
    """Return the chances by label; None while an optimizer has too few results, or none of them a value.

    The labels are sorted in it, so that their order changes no draw.
    """
    if any(sum(study.ended for study in of_label) < FEWEST for of_label in studies.values()):
        return None
    if not any(study.losses for of_label in studies.values() for study in of_label):
        return None
    import numpy as np

    unit = _unit(studies)
    labels = sorted(studies)
    random = np.random.default_rng(_SEED)
    ends = np.full((len(labels), DRAWS), np.inf)
    now = math.inf
    for row, label in enumerate(labels):
        losses = [sorted(map(unit, study.losses)) for study in studies[label]]
        tails = [_scale(of_study) for of_study in losses]
        usual = _scale(sorted(loss for of_study in losses for loss in of_study)) if None in tails else None
        for study, of_study, tail in zip(studies[label], losses, tails, strict=True):
            # Drawn for every study alike, so that what one has found is no other's luck.
            luck = random.random((2, DRAWS))
            if of_study:
                now = min(now, of_study[0])
                gains = _gains(study, tail or usual or 0.0, luck)
                np.minimum(ends[row], of_study[0] - gains, out=ends[row])
    leading = ends == ends.min(axis=0)
    shares = (leading / leading.sum(axis=0)).mean(axis=1)
    return Leads(
        chances=dict(zip(labels, map(float, shares), strict=True)),
        beaten=float((ends.min(axis=0) < now).mean()),
    )


def _unit(studies: Mapping[str, Sequence[StudySoFar]]) -> Callable[[float], float]:
    """Return what makes losses differ by factors, as they gain by these, if there is such a thing.

    Of losses above 0 that is the logarithm; of shares, of which more is better, that of what they lack to 1.
    """
    every = [loss for of_label in studies.values() for study in of_label for loss in study.losses]
    if min(every) > 0:
        return math.log
    return math.log1p if min(every) > -1 and max(every) <= 0 else float


def _gains(study: StudySoFar, tail: float, luck: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the trials that are left beat the best so far, in each draw; 0 if they do not."""
    import numpy as np

    ranks = np.arange(min(study.left, _MOST_BETTER))
    at_least = np.cumprod((study.left - ranks) / (study.ended + study.left - ranks))
    better = len(ranks) - np.searchsorted(at_least[::-1], luck[0], side="right")
    largest = luck[1] ** (1 / np.maximum(better, 1))
    return np.where(better > 0, -tail * np.log1p(-largest), 0.0)


def _scale(ordered: Sequence[float]) -> float | None:
    """The mean excess of the best quarter over the next one, two at least; None of fewer than three."""
    if len(ordered) < 3:
        return None
    top = max(2, len(ordered) // 4)
    return math.fsum(ordered[top] - loss for loss in ordered[:top]) / top
