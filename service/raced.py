"""The verdicts of past jobs on an optimizer, for people who look it up. No ranking follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Tally:
    """The concluded jobs that an optimizer competed in, and those of them that picked a config of it.

    `won` counts those that called it the clear winner; the others broke a tie.
    """

    jobs: int
    picked: int
    won: int

    @property
    def share(self) -> float:
        """The part of its jobs that picked it, from 0 to 1."""
        return self.picked / self.jobs if self.jobs else 0.0


@dataclass(frozen=True)
class RacedJob:
    """What a concluded job said of one optimizer.

    `odds` is the probability of having the best config by label, None if no label can; `optimizers` names the
    catalog's optimizer of each label. `label` is the one of this optimizer that came out best. `value` and
    `default_value` are means on the test split, and None if a run diverged.
    """

    uid: str
    name: str | None
    about: str
    verdict: str
    recommended: str | None
    metric: str
    lower_is_better: bool
    optimizers: dict[str, str]
    odds: dict[str, float]
    label: str
    lr: float | None
    value: float | None
    default_value: float | None
    finished_at: datetime | None
