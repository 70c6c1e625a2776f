"""What more fresh seeds would be expected to change: the config verdict's predictive distribution.

The runs that are still to come are drawn from the posterior predictive distribution of the normal model that
`stats.probability_best` has (Jeffreys' prior): per draw one variance factor, the expected values given it,
and the runs given both. Every contrast of arms then has the predictive t distribution of a single normal
sample (Box and Tiao 1973, section 2.4; Spiegelhalter, Freedman and Blackburn 1986, Controlled Clinical Trials
7: 8-17, use it to monitor trials). On each draw the verdict is taken as `verdicts.config_verdict` does.
Forecasts show it; it decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from service.evidence.confirmed import Confirmed
from service.evidence.stats import critical_t
from service.spec import Margin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Draws = NDArray[np.float64]

DRAWS = 256
"""Of the runs to come: a probability of 0.02 has a Monte Carlo error of 0.009."""

_STREAM = 20_260_202
"""First word of the seed of those draws."""


def drawn(confirmed: Confirmed, seeds: int, *, seed: int, draws: int = DRAWS) -> Draws:
    """The losses of the finite arms on `seeds` fresh seeds, draws x arms x seeds: those there are, and drawn
    ones for the rest."""
    import numpy as np

    observed = np.asarray([confirmed.losses[i] for i in confirmed.finite], dtype=np.float64)
    arms, count = observed.shape
    centers = np.asarray([[confirmed.means[i]] for i in confirmed.finite])
    residuals = observed - centers
    random = np.random.default_rng([_STREAM, seed, count, seeds])
    spread = 1 / np.sqrt(random.chisquare(count - 1, size=(draws, 1, 1)))
    shift = random.standard_normal((draws, 1, count)) / np.sqrt(count)
    runs = random.standard_normal((draws, seeds - count, count)) + shift
    new = np.swapaxes(runs @ residuals.T, 1, 2) * spread + centers
    return np.concatenate([np.broadcast_to(observed, (draws, arms, count)), new], axis=2)


def named(confirmed: Confirmed, losses: Draws, alpha: float, margin: Margin | None) -> NDArray[np.bool_]:
    """On which draws the config verdict at level `alpha` names a winner."""
    import numpy as np

    labels = [confirmed.arms[i].label for i in confirmed.finite]
    may_win = np.asarray([label not in confirmed.barred for label in labels])
    draws, _, seeds = losses.shape
    if not may_win.any() or len(set(labels)) < 2:
        return np.zeros(draws, dtype=bool)
    own = np.asarray([[name == label for name in labels] for label in labels])
    critical = critical_t(seeds - 1, alpha / len(confirmed.arms))
    means = losses.mean(axis=2)
    best = np.where(may_win, means, np.inf).argmin(axis=1)
    bar = _worsened(losses[np.arange(draws), best], margin)
    # Whoever wins beats the closest rival; that is seldom, so the others are only looked at where it is so.
    closest = np.where(own[best], np.inf, means).argmin(axis=1)
    wins = _beaten(losses[np.arange(draws), closest][:, None], bar, critical)[:, 0] & ~own[best].all(axis=1)
    wins[wins] = (_beaten(losses[wins], bar[wins], critical) | own[best[wins]]).all(axis=1)
    return np.asarray(wins)


def _beaten(losses: Draws, bar: Draws, critical: float) -> NDArray[np.bool_]:
    """Whether each arm is worse than the bar on its draw, by a one-sided paired t-test."""
    import numpy as np

    differences = losses - bar[:, None, :]
    means = differences.mean(axis=2)
    squares = ((differences - means[..., None]) ** 2).sum(axis=2)
    seeds = losses.shape[2]
    return np.asarray(means > critical * np.sqrt(squares / (seeds - 1) / seeds))


def _worsened(rows: Draws, margin: Margin | None) -> Draws:
    import numpy as np

    if margin is None:
        return rows
    if margin.percent is None:
        assert margin.absolute is not None
        return rows + margin.absolute
    factor = 1 + np.sign(rows.mean(axis=1, keepdims=True)) * margin.percent / 100
    return np.asarray(rows * factor)


def winner_chances(
    confirmed: Confirmed, levels: Sequence[tuple[int, float]], margin: Margin | None, *, seed: int
) -> list[float]:
    """For each coming look (its seeds, and the level that its config verdict may spend), the probability
    that a winner is named at it or before it; none where there are too few runs to tell."""
    import numpy as np

    if not levels or len(confirmed.seeds) < 2:
        return []
    confirmed, margin = scaled(confirmed, margin)
    losses = drawn(confirmed, levels[-1][0], seed=seed)
    found = np.zeros(len(losses), dtype=bool)
    chances = []
    for seeds, alpha in levels:
        found = found | named(confirmed, losses[:, :, :seeds], alpha, margin)
        chances.append(float(found.mean()))
    return chances


def scaled(confirmed: Confirmed, margin: Margin | None) -> tuple[Confirmed, Margin | None]:
    """The same table in units of a power of two, in which no square overflows; the power changes no digit."""
    largest = max(abs(value) for row in confirmed.values for value in row)
    scale = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 1.0
    values = tuple(tuple(value / scale for value in row) for row in confirmed.values)
    if margin is not None and margin.absolute is not None:
        margin = Margin(absolute=max(margin.absolute / scale, math.ulp(0.0)))
    return replace(confirmed, values=values), margin
