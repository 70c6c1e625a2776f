"""Computes a study's incumbents over all orders that its random trials could have had.

A study's random trials are exchangeable: each order was as likely as the one that happened. So its
incumbent after k trials, of which j are random and the others are what they were, is the better one of the
best of the others and the best of j drawn without replacement from all its random trials. That takes the
luck of the order out, exactly and without drawing. Once all random trials are in, it is the incumbent that
was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from whichopt.service.evidence.analysis.expected import without_replacement
from whichopt.service.evidence.analysis.job_data import Study
from whichopt.service.states import Origin

Incumbent = Mapping[float, float]
"""Losses and their probabilities; infinity stands for no complete trial yet."""


def incumbents(study: Study) -> list[Incumbent]:
    """The incumbent after 1, 2, ... trials of the study."""
    ranks = sorted(attempt.rank for attempt in study.random)
    others, count = math.inf, 0
    after = []
    for attempt in study.attempts:
        if attempt.origin is Origin.RANDOM:
            count += 1
        else:
            others = min(others, attempt.rank)
        after.append(_incumbent(others, ranks, count))
    return after


def expectation(incumbent: Incumbent) -> float | None:
    """The expected loss; None if there could be no complete trial."""
    if any(math.isinf(loss) and chance > 0 for loss, chance in incumbent.items()):
        return None
    return math.fsum(loss * chance for loss, chance in incumbent.items())


def shares_best(incumbents_of: Sequence[Incumbent]) -> list[float]:
    """For each of several independent incumbents the probability that it is the lowest; ties are split
    evenly.

    Given one incumbent's loss, the others that tie with it are counted by the coefficients of the product
    of (P(worse) + P(equal) x), and j ties leave it 1 / (j + 1).
    """
    shares = []
    for i, incumbent in enumerate(incumbents_of):
        rest = [*incumbents_of[:i], *incumbents_of[i + 1 :]]
        parts = [chance * _won(loss, rest) for loss, chance in incumbent.items()]
        shares.append(math.fsum(parts))
    return shares


def _won(loss: float, rest: Sequence[Incumbent]) -> float:
    ties = [1.0]
    for other in rest:
        worse = math.fsum(chance for at, chance in other.items() if at > loss)
        equal = other.get(loss, 0.0)
        ties = [worse * a + equal * b for a, b in zip([*ties, 0.0], [0.0, *ties], strict=True)]
    return math.fsum(chance / (j + 1) for j, chance in enumerate(ties))


def _incumbent(others: float, ranks: Sequence[float], count: int) -> Incumbent:
    if count == 0:
        return {others: 1.0}
    chances: dict[float, float] = {}
    for rank, weight in zip(ranks, without_replacement(len(ranks), count), strict=True):
        if weight > 0:
            best = min(others, rank)
            chances[best] = chances.get(best, 0.0) + weight
    return chances
