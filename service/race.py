"""The race of a job: what each trial has come to, without its curves, at one revision of the job.

A race is read once, and from then on only what has changed; both give the same (`with_changes`).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from whichopt.service.states import Origin, Phase, TrialState


class RaceTrial(NamedTuple):
    """A trial as a race shows it; `id` is its row's, and `replicate` is None in confirm.

    `value` is that of a complete trial, and of a pruned one the value at which it was pruned. Of a running
    trial it is None, as only a cohort's progress knows it (`Side.latest`).
    """

    id: int
    label: str
    phase: Phase
    replicate: int | None
    number: int
    state: TrialState
    origin: Origin
    value: float | None
    steps: int
    examples: int
    seconds: float
    config: Mapping[str, float | int | str | bool]
    finished_at: datetime | None


class Side(NamedTuple):
    """A trial within its cohort; `latest` is the value at its last evaluation."""

    trial: int
    label: str
    latest: float | None


@dataclass(frozen=True)
class RunningCohort:
    """A cohort that is being trained: its trials side by side, and the examples that each has to see.

    `seen` are the examples of all its trials in this attempt, and `since` is when it was claimed.
    """

    id: int
    round: int
    phase: Phase
    trials: tuple[Side, ...]
    seen: int
    length: int
    worker: str | None
    since: datetime | None

    @property
    def share(self) -> float:
        """The share of its examples that it has seen."""
        whole = self.length * len(self.trials)
        return min(1.0, self.seen / whole) if whole else 0.0


@dataclass(frozen=True)
class RaceChanges:
    """The trials that have changed since a revision, and all that is being trained at `revision`."""

    revision: int
    trials: tuple[RaceTrial, ...]
    running: tuple[RunningCohort, ...]


@dataclass(frozen=True)
class Race:
    """A job's trials by their row's id, in the order in which they were planned."""

    revision: int = 0
    trials: Mapping[int, RaceTrial] = field(default_factory=dict)
    running: tuple[RunningCohort, ...] = ()

    def with_changes(self, changes: RaceChanges) -> Race:
        """Return the race as it stands after what has changed since its revision."""
        if not changes.trials:
            same = replace(self, revision=changes.revision, running=changes.running)
            # What follows from the trials alone need not be found again.
            same.__dict__.update({name: self.__dict__[name] for name in _OF_TRIALS if name in self.__dict__})
            return same
        changed = {trial.id: trial for trial in changes.trials}
        trials = {**self.trials, **changed}
        new = len(trials) > len(self.trials)
        if new:
            trials = dict(sorted(trials.items()))
        moved = replace(self, revision=changes.revision, trials=trials, running=changes.running)
        if "last" in self.__dict__:
            times = (trial.finished_at for trial in changes.trials if trial.finished_at is not None)
            moved.__dict__["last"] = max(filter(None, (self.last, *times)), default=None)
        if not new and "searched" in self.__dict__:
            moved.__dict__["searched"] = _with(self.searched, changes.trials)
        return moved

    @cached_property
    def latest(self) -> Mapping[int, float]:
        """The latest value of each trial that is being trained, by its row's id."""
        sides = (side for cohort in self.running for side in cohort.trials)
        return {side.trial: side.latest for side in sides if side.latest is not None}

    @cached_property
    def last(self) -> datetime | None:
        """The time of the last result."""
        times = (trial.finished_at for trial in self.trials.values() if trial.finished_at is not None)
        return max(times, default=None)

    @cached_property
    def used(self) -> Mapping[tuple[str, Phase], tuple[int, float]]:
        """The number of results of each label in each phase, and the training seconds that they took."""
        found = {}
        for phase, labels in ((Phase.SEARCH, self.searched), (Phase.CONFIRM, self.confirmed)):
            for label, trials in labels.items():
                seconds = [trial.seconds for trial in trials if trial.state in _WITH_RESULT]
                if seconds:
                    found[label, phase] = (len(seconds), math.fsum(seconds))
        return found

    @cached_property
    def searched(self) -> Mapping[str, tuple[RaceTrial, ...]]:
        """The search trials of each label, in the order in which they were planned."""
        return by_label(trial for trial in self.trials.values() if trial.phase is Phase.SEARCH)

    @cached_property
    def confirmed(self) -> Mapping[str, tuple[RaceTrial, ...]]:
        """The confirm trials of each label; their values are on the test split."""
        return by_label(trial for trial in self.trials.values() if trial.phase is Phase.CONFIRM)


_WITH_RESULT = frozenset(state for state in TrialState if state.has_result)
_OF_TRIALS = ("searched", "confirmed", "last", "used")


def _with(
    searched: Mapping[str, tuple[RaceTrial, ...]], changed: Iterable[RaceTrial]
) -> Mapping[str, tuple[RaceTrial, ...]]:
    """Return the search trials with those that have changed in their places, which they keep."""
    found = {}
    for label, trials in by_label(trial for trial in changed if trial.phase is Phase.SEARCH).items():
        now = list(searched[label])
        for trial in trials:
            now[bisect_left(now, trial.id, key=attrgetter("id"))] = trial
        found[label] = tuple(now)
    return {**searched, **found}


def by_label(trials: Iterable[RaceTrial]) -> dict[str, tuple[RaceTrial, ...]]:
    """Return the trials of each label that has any."""
    found: dict[str, list[RaceTrial]] = {}
    for trial in trials:
        found.setdefault(trial.label, []).append(trial)
    return {label: tuple(of_label) for label, of_label in found.items()}
