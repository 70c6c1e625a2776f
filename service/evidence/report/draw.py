"""Draws the trials of a report that an audit trains again, and says what such a draw can find.

The draw follows from the auditor's seed alone, so that anyone can repeat it, and nobody who does not know the
seed can tell which trials will be drawn. Of N trials of which F are forged, n drawn without replacement have
at least one of the forged among them with the hypergeometric probability 1 - C(N - F, n) / C(N, n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.seeds import derive
from whichopt.service.states import TrialState
from whichopt.service.trials import Trial

USE = "audit"
"""Use of the draw's seeds."""

SHARES = (0.25, 0.1)
"""Shares of the trials that may have been forged, for which the chance of finding it is told."""


class Chance(BaseModel):
    """The chance that a draw has at least one of the forged trials in it."""

    model_config = ConfigDict(frozen=True)

    share: float | None = Field(description="Share of the trials that are forged; null for one trial alone.")
    forged: int = Field(description="Number of trials that are forged.")
    chance: float


def drawable(trials: Sequence[Trial]) -> list[int]:
    """Return the places of the trials that can be trained again to their end: all that ended by themselves.

    One that time or a person has stopped ended nowhere that its plan tells.
    """
    return [
        place
        for place, trial in enumerate(trials)
        if trial.result is not None and trial.result.state is not TrialState.CANCELLED
    ]


def draw(places: Sequence[int], count: int, seed: int) -> list[int]:
    """Return `count` of the places in their order, or all if there are fewer, each set equally likely.

    Example:
        >>> from whichopt.service.evidence.report.draw import draw
        >>> draw(range(100), 4, seed=7) == draw(range(100), 4, seed=7)
        True
    """
    by_lot = sorted(places, key=lambda place: (derive(seed, USE, place), place))
    return sorted(by_lot[:count])


def chance_of_a_hit(trials: int, forged: int, drawn: int) -> float:
    """Return the chance that `drawn` of the trials have at least one of the forged ones among them.

    Example:
        >>> from whichopt.service.evidence.report.draw import chance_of_a_hit
        >>> round(chance_of_a_hit(trials=80, forged=20, drawn=8), 3)
        0.912
    """
    drawn = min(drawn, trials)
    return 1 - math.comb(trials - forged, drawn) / math.comb(trials, drawn)


def chances(trials: int, drawn: int) -> list[Chance]:
    """Return the chances of a hit if some shares of the trials had been forged, and if one alone had."""
    of_shares = [(share, max(1, round(share * trials))) for share in SHARES]
    return [
        Chance(share=share, forged=forged, chance=chance_of_a_hit(trials, forged, drawn))
        for share, forged in [*of_shares, (None, 1)]
    ]
