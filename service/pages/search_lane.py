"""What an optimizer's search has come to by now: the numbers behind its lane."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from whichopt.service.race import Race, RaceTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Direction, Origin, TrialState

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED)


@dataclass(frozen=True)
class SearchLane:
    """The search of one optimizer; its trials are in the order in which they were planned.

    `total` is the number of trials that it is given, 0 if nobody knows yet. `latest` has the value at the
    last evaluation of each trial that is being trained, by its row's id. `searched` are the hyperparameters
    that differ between its trials.
    """

    label: str
    tone: int
    direction: Direction
    total: int
    trials: tuple[RaceTrial, ...]
    latest: Mapping[int, float]
    searched: tuple[str, ...] = ()

    @cached_property
    def complete(self) -> list[tuple[RaceTrial, float]]:
        """The trials that went to their end, with their values."""
        of = TrialState.COMPLETE
        return [(one, one.value) for one in self.trials if one.state is of and one.value is not None]

    @cached_property
    def pruned(self) -> list[tuple[RaceTrial, float | None]]:
        """The trials that were stopped early, with the values at which they were; None if it is not known."""
        return [(trial, trial.value) for trial in self.trials if trial.state is TrialState.PRUNED]

    @cached_property
    def running(self) -> list[RaceTrial]:
        return [trial for trial in self.trials if trial.state is TrialState.RUNNING]

    @cached_property
    def diverged(self) -> int:
        """The number of trials whose loss did not stay finite."""
        return sum(trial.state is TrialState.DIVERGED for trial in self.trials)

    @cached_property
    def ended(self) -> int:
        """The number of trials with a result."""
        return sum(trial.state in ENDED for trial in self.trials)

    @cached_property
    def defaults(self) -> list[float]:
        """The values of the default config, one for each study that has trained it to its end."""
        return [value for trial, value in self.complete if trial.origin is Origin.DEFAULT]

    @cached_property
    def default(self) -> float | None:
        """The median of them."""
        return statistics.median(self.defaults) if self.defaults else None

    @cached_property
    def best(self) -> tuple[RaceTrial, float] | None:
        """The best trial so far, with its value; the first one of those that are as good."""
        return min(self.complete, key=lambda one: self.direction.sign * one[1]) if self.complete else None

    @cached_property
    def median(self) -> float | None:
        """The median value of the trials that went to their end."""
        return statistics.median(value for _, value in self.complete) if self.complete else None

    @cached_property
    def improvements(self) -> list[float]:
        """The values by which the best one was improved, one after the other; the last is the best."""
        sign, found = self.direction.sign, list[float]()
        for trial, value in self.complete:
            if trial.origin is Origin.DEFAULT:
                continue
            before = found[-1] if found else self.default
            if before is None or sign * value < sign * before:
                found.append(value)
        return found

    @property
    def rank(self) -> float:
        """What lanes are sorted by: less is better."""
        return float("inf") if self.best is None else self.direction.sign * self.best[1]

    def finest(self, most: int) -> list[tuple[RaceTrial, float]]:
        """Return the best trials, `most` at most."""
        return sorted(self.complete, key=lambda one: self.direction.sign * one[1])[:most]

    @property
    def shown_values(self) -> list[float]:
        """The values that the lane's scale must hold."""
        cut = (value for _, value in self.pruned if value is not None)
        return [*(value for _, value in self.complete), *cut]


def search_lanes(
    spec: ResolvedSpec, race: Race, tones: Mapping[str, int], totals: Mapping[str, int]
) -> list[SearchLane]:
    """Return a lane for each optimizer, in the order of the spec; `totals` are their numbers of trials."""
    return [
        SearchLane(
            label=label,
            tone=tones[label],
            direction=spec.goal.direction,
            searched=tuple(spec.optimizer(label).searched),
            total=totals.get(label, 0),
            trials=race.searched.get(label, ()),
            latest={
                trial.id: race.latest[trial.id]
                for trial in race.searched.get(label, ())
                if trial.state is TrialState.RUNNING and trial.id in race.latest
            },
        )
        for label in spec.labels
    ]


def by_rank(lanes: Sequence[SearchLane]) -> list[SearchLane]:
    """Return the lanes, the best first; those without a value keep their order at the end."""
    return sorted(lanes, key=lambda lane: lane.rank)
