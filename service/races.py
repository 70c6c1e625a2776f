"""Keeps the races that are being watched, so that all viewers of a job share one, and only news are read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from whichopt.service.db import Store, Transaction
from whichopt.service.race import Race

MOST_TRIALS = 100_000
"""Trials that are kept in all; a trial takes about 500 bytes."""


@dataclass
class _Kept:
    race: Race = field(default_factory=Race)
    turn: threading.Lock = field(default_factory=threading.Lock)


class Races:
    """The races of a process, those that were asked for last. Safe to share between threads."""

    def __init__(self, store: Store, *, most_trials: int = MOST_TRIALS) -> None:
        self.store = store
        self.most_trials = most_trials
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, job_id: int, metric: str) -> Race:
        """Return the race of a job as it stands now; of what was read before only the changes are read."""
        with self._lock:
            kept = self._kept.setdefault(job_id, _Kept())
            self._kept.move_to_end(job_id)
        with kept.turn:
            with self.store.read() as tx:
                kept.race = _moved(tx, kept.race, job_id, metric)
            race = kept.race
        self._make_room()
        return race

    def _make_room(self) -> None:
        with self._lock:
            while len(self._kept) > 1 and self._trials() > self.most_trials:
                self._kept.popitem(last=False)

    def _trials(self) -> int:
        return sum(len(kept.race.trials) for kept in self._kept.values())


def _moved(tx: Transaction, race: Race, job_id: int, metric: str) -> Race:
    changes = tx.races.changes(job_id, metric=metric, since=race.revision)
    if changes.revision < race.revision:  # a database that was restored: begin again
        race, changes = Race(), tx.races.changes(job_id, metric=metric)
    if changes.revision == race.revision:
        return race
    return race.with_changes(changes)
