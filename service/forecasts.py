"""The part of a job's forecast that does not depend on the clock, and the seconds that time it."""

from __future__ import annotations

import math
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from whichopt.service.spec.today import TODAY
from whichopt.service.views import ConfirmForecast, SearchForecast

VERSION = 3
"""Raise it with every change to what a RoundForecast has or to how its figures are computed: one that an
earlier version stored is then computed anew."""


class RoundForecast(BaseModel):
    """The forecast from the results up to a round: a pure function of the spec and these results.

    `confirm` is None until every finalist was run on a common fresh seed; its `next_seconds` is None, as that
    depends on the clock. `trial_seconds` are the training seconds of a trial that goes to its end, by label,
    None if nothing tells; `finalists` are the labels of the finalists, one entry for each of them. `leads`
    are the chances to lead at the end of the search, by label; None once it has ended, and while it is too
    early.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: list[SearchForecast]
    confirm: ConfirmForecast | None
    trial_seconds: dict[str, float] | None
    finalists: list[str]
    leads: dict[str, float] | None = None

    @property
    def odds(self) -> dict[str, float] | None:
        """The probability of having the best config, by label: before the first fresh seed, of leading.

        None while nothing tells, and if no config can be deployed.
        """
        return self.leads if self.confirm is None else self.confirm.probability_best or None

    @property
    def seed_seconds(self) -> float | None:
        """Training seconds of one fresh seed of all finalists, and of today's config if there is one."""
        known = self.trial_seconds
        if known is None:
            return None
        return math.fsum(known[label] for label in self.finalists) + known.get(TODAY, 0.0)


class Used(NamedTuple):
    """The results that an optimizer has by now in one phase, and the training seconds that they took."""

    results: int
    seconds: float
