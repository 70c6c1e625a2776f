"""Simulates more fresh seeds, to predict what they would change in the config verdict.

The runs to come are drawn from the posterior predictive distribution of the normal model behind
`probability_best` (Jeffreys' prior): per draw one variance factor, the expected values given it, and the runs
given both. Every contrast of arms then has the predictive t distribution of a single normal
sample (Box and Tiao 1973, section 2.4; Spiegelhalter, Freedman and Blackburn 1986, Controlled Clinical Trials
7: 8-17, use it to monitor trials). The config verdict judges each draw, as it will judge the real runs: by
rules 1 `winners.config_verdict` itself, by rules 2 the same for all draws at once (`many_tables`).
Forecasts show the outcome; it decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, champions
from whichopt.service.evidence.verdict.many_tables import names_winner
from whichopt.service.evidence.verdict.winners import config_verdict
from whichopt.service.planning.looks import ChampionLook, Look
from whichopt.service.spec import Margin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Draws = NDArray[np.float64]

DRAWS = 256
"""Number of draws of the runs to come: a probability of 0.02 has a Monte Carlo error of 0.009."""

_STREAM = 20_260_202
"""First word of the seed of those draws."""


def simulate(table: ConfirmTable, seeds: int, *, seed: int, draws: int = DRAWS) -> Draws:
    """Return the losses of the finite arms on `seeds` fresh seeds (draws x arms x seeds): the observed ones,
    and simulated ones for the rest."""
    import numpy as np

    observed = np.asarray([table.losses[i] for i in table.finite], dtype=np.float64)
    arms, count = observed.shape
    centers = np.asarray([[table.means[i]] for i in table.finite])
    residuals = observed - centers
    random = np.random.default_rng([_STREAM, seed, count, seeds])
    spread = 1 / np.sqrt(random.chisquare(count - 1, size=(draws, 1, 1)))
    shift = random.standard_normal((draws, 1, count)) / np.sqrt(count)
    runs = random.standard_normal((draws, seeds - count, count)) + shift
    new = np.swapaxes(runs @ residuals.T, 1, 2) * spread + centers
    return np.concatenate([np.broadcast_to(observed, (draws, arms, count)), new], axis=2)


def with_losses(table: ConfirmTable, losses: Sequence[Sequence[float]]) -> ConfirmTable:
    """Return `table` on as many fresh seeds as `losses` has columns; its rows are those of the finite arms.

    An arm that did not stay finite stays where it was: its last value is repeated.
    """
    rows = iter(losses)
    seeds = len(losses[0])
    values = tuple(
        tuple(table.sign * loss for loss in next(rows))
        if i in table.finite
        else (*row, *[row[-1]] * (seeds - len(row)))
        for i, row in enumerate(table.values)
    )
    return replace(table, seeds=tuple(range(seeds)), values=values)


def named(table: ConfirmTable, losses: Draws, look: Look, margin: Margin | None) -> NDArray[np.bool_]:
    """Return on which draws the config verdict names a winner at that look."""
    import numpy as np

    if table.rules > 1:
        return names_winner(table, losses, look.config_level(table.config_alpha), margin)
    verdicts = (
        config_verdict(with_losses(table, draw), alpha=look.config_level, margin=margin)
        for draw in losses.tolist()
    )
    return np.asarray([verdict.verdict == "winner" for verdict in verdicts], dtype=bool)


def winner_chances(
    table: ConfirmTable, looks: Sequence[Look], margin: Margin | None, *, seed: int
) -> list[float]:
    """Return, for each coming look, the probability that a winner is named at it or before it.

    The list is empty if there are too few runs to tell.
    """
    if not looks or len(table.seeds) < 2:
        return []
    table, margin = scaled(table, margin)
    table, seen = to_come(table)
    ends = [judged_seeds(table, look) for look in looks]
    losses = simulate(table, seen + ends[-1], seed=seed)[:, :, seen:]
    draws, chances = len(losses), []
    for look, end in zip(looks, ends, strict=True):
        # Only draws on which no earlier look has named a winner are judged again.
        losses = losses[~named(table, losses[:, :, :end], look, margin)]
        chances.append(1 - len(losses) / draws)
    return chances


def to_come(table: ConfirmTable) -> tuple[ConfirmTable, int]:
    """Return the table of the arms that train on, and how many of its seeds the next look will not count.

    By rules 2 the first stage is followed by champions alone, which are judged by the seeds that follow.
    """
    if table.rules < 2 or table.first is not None:
        return table, 0
    arms = champions(table)
    places = [table.arms.index(arm) for arm in arms]
    return (
        replace(
            table,
            arms=tuple(arms),
            values=tuple(table.values[i] for i in places),
            validation=tuple(table.validation[i] for i in places),
            diverged=tuple(table.diverged[i] for i in places),
            first=table,
        ),
        len(table.seeds),
    )


def judged_seeds(table: ConfirmTable, look: Look) -> int:
    """The number of seeds that the config verdict counts at that look, of a table of those that train on."""
    return look.champions if isinstance(look, ChampionLook) and table.first is not None else look.seeds


def scaled(table: ConfirmTable, margin: Margin | None) -> tuple[ConfirmTable, Margin | None]:
    """Return the table in units of a power of two, so that no square overflows; this changes no digit."""
    rows = (*table.values, *table.finalists.values)
    largest = max(abs(value) for row in rows for value in row)
    scale = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 1.0
    if margin is not None and margin.absolute is not None:
        margin = Margin(absolute=max(margin.absolute / scale, math.ulp(0.0)))
    first = None if table.first is None else scaled_by(table.first, scale)
    return replace(scaled_by(table, scale), first=first), margin


def scaled_by(table: ConfirmTable, scale: float) -> ConfirmTable:
    """Return the table with all values divided by `scale`."""
    return replace(table, values=tuple(tuple(value / scale for value in row) for row in table.values))
