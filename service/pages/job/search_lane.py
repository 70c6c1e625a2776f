"""What an optimizer's search has come to by now: the numbers behind its lane."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, insort
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple

from whichopt.service.evidence.forecast.leads import StudySoFar
from whichopt.service.forecasts import Used
from whichopt.service.race import Race, RaceTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Direction, Origin, TrialState

# By names of their own: to look a member up in its class takes longer than what is done with a trial.
COMPLETE, PRUNED, DIVERGED = TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED
RUNNING, FAILED = TrialState.RUNNING, TrialState.FAILED
DEFAULT = Origin.DEFAULT
ENDED = frozenset({COMPLETE, PRUNED, DIVERGED, FAILED})


class Parted(NamedTuple):
    """A lane's trials by their state: complete and pruned ones with their values, the rest counted.

    `pruned` lacks those of which the value at which they were pruned is not known; `cut` counts all of them.
    """

    complete: list[tuple[RaceTrial, float]]
    pruned: list[tuple[RaceTrial, float]]
    running: list[RaceTrial]
    cut: int
    diverged: int
    failed: int


@dataclass(frozen=True, eq=False)
class SearchLane:
    """The search of one optimizer; its trials are in the order in which they were planned.

    `total` is the number of trials that it is given, 0 if nobody knows yet. `searched` are the
    hyperparameters that differ between its trials. A lane is made anew if a trial of it has changed, and only
    then.
    """

    label: str
    tone: int
    direction: Direction
    total: int
    trials: tuple[RaceTrial, ...]
    searched: tuple[str, ...] = ()

    @cached_property
    def parted(self) -> Parted:
        complete, pruned, running = list[tuple[RaceTrial, float]](), list[tuple[RaceTrial, float]](), []
        cut = diverged = failed = 0
        for trial in self.trials:
            state, value = trial.state, trial.value
            if state is COMPLETE:
                if value is not None:
                    complete.append((trial, value))
            elif state is PRUNED:
                cut += 1
                if value is not None:
                    pruned.append((trial, value))
            elif state is DIVERGED:
                diverged += 1
            elif state is RUNNING:
                running.append(trial)
            elif state is FAILED:
                failed += 1
        return Parted(complete, pruned, running, cut, diverged, failed)

    @property
    def ended(self) -> int:
        """The number of trials with a result."""
        parted = self.parted
        return len(parted.complete) + parted.cut + parted.diverged + parted.failed

    @cached_property
    def used(self) -> Used:
        """The trials with a result, and the training seconds that they took."""
        return Used(self.ended, math.fsum(trial.seconds for trial in self.trials))

    @cached_property
    def ordered(self) -> list[tuple[RaceTrial, float]]:
        """The trials that went to their end, the best first; of two alike the earlier one."""
        maximize = self.direction is Direction.MAXIMIZE
        return sorted(self.parted.complete, key=itemgetter(1), reverse=maximize)

    @cached_property
    def defaults(self) -> list[float]:
        """The values of the default config, one for each study that has trained it to its end."""
        return [value for trial, value in self.parted.complete if trial.origin is DEFAULT]

    @cached_property
    def default(self) -> float | None:
        """The median of them."""
        return statistics.median(self.defaults) if self.defaults else None

    @property
    def best(self) -> tuple[RaceTrial, float] | None:
        """The best trial so far, with its value."""
        return self.ordered[0] if self.ordered else None

    @cached_property
    def median(self) -> float | None:
        """The median value of the trials that went to their end."""
        if not self.ordered:
            return None
        count = len(self.ordered)
        return (self.ordered[(count - 1) // 2][1] + self.ordered[count // 2][1]) / 2

    @cached_property
    def improvements(self) -> list[float]:
        """The values by which the best one was improved, one after the other; the last is the best."""
        sign, found = self.direction.sign, list[float]()
        for trial, value in self.parted.complete:
            before = found[-1] if found else self.default
            if (before is None or sign * value < sign * before) and trial.origin is not DEFAULT:
                found.append(value)
        return found

    @property
    def rank(self) -> float:
        """What lanes are sorted by: less is better."""
        return math.inf if self.best is None else self.direction.sign * self.best[1]

    @cached_property
    def shown_values(self) -> list[float]:
        """The values that the lane's scale must hold; most are in order, which is sorted fast."""
        return [value for _, value in (*self.ordered, *self.parted.pruned)]


def search_lanes(
    spec: ResolvedSpec,
    race: Race,
    tones: Mapping[str, int],
    totals: Mapping[str, int],
    kept: MutableMapping[str, SearchLane] | None = None,
) -> list[SearchLane]:
    """Return a lane for each optimizer, in the order of the spec; `totals` are their numbers of trials.

    Lanes that have not changed are those that are `kept` from before.
    """
    lanes = []
    for label in spec.labels:
        trials, total = race.searched.get(label, ()), totals.get(label, 0)
        before = None if kept is None else kept.get(label)
        # Trials that have not changed are the same objects, so this compares no more than their places.
        if before is None or (before.total, before.trials) != (total, trials):
            now = SearchLane(
                label=label,
                tone=tones[label],
                direction=spec.goal.direction,
                total=total,
                trials=trials,
                searched=tuple(spec.optimizer(label).searched),
            )
            if before is not None:
                _carry_over(before, now)
            before = now
        if kept is not None:
            kept[label] = before
        lanes.append(before)
    return lanes


def _carry_over(before: SearchLane, now: SearchLane) -> None:
    """Give a lane what its trials have come to, found from what was known of them before they moved on.

    If there are new trials, or one had a result before, it is found from all of them instead.
    """
    if len(before.trials) != len(now.trials):
        return
    changed = [(old, new) for old, new in zip(before.trials, now.trials, strict=True) if old is not new]
    if any(old.id != new.id or old.state in ENDED for old, new in changed):
        return
    ended = SearchLane(now.label, now.tone, now.direction, now.total, tuple(new for _, new in changed)).parted
    parted, ordered, sign = before.parted, before.ordered.copy(), now.direction.sign
    for one in ended.complete:
        insort(ordered, one, key=lambda one: (sign * one[1], one[0].id))
    moved = {new.id for _, new in changed}
    still = [trial for trial in parted.running if trial.id not in moved]
    now.__dict__["ordered"] = ordered
    now.__dict__["parted"] = Parted(
        complete=_in_place(parted.complete, ended.complete),
        pruned=_in_place(parted.pruned, ended.pruned),
        running=sorted([*still, *ended.running], key=lambda trial: trial.id),
        cut=parted.cut + ended.cut,
        diverged=parted.diverged + ended.diverged,
        failed=parted.failed + ended.failed,
    )
    if not any(new.origin is DEFAULT for _, new in changed):
        now.__dict__["defaults"] = before.defaults


def _in_place(
    ones: list[tuple[RaceTrial, float]], more: list[tuple[RaceTrial, float]]
) -> list[tuple[RaceTrial, float]]:
    """Return both, in the order in which they were planned, which is that of their rows."""
    ones = ones.copy()
    for one in more:
        ones.insert(bisect_left(ones, one[0].id, key=lambda one: one[0].id), one)
    return ones


def studies_so_far(lane: SearchLane, replicates: int) -> list[StudySoFar]:
    """Return the studies of a lane as they stand in the middle of their search."""
    ended, losses = [0] * replicates, [list[float]() for _ in range(replicates)]
    sign = lane.direction.sign
    for trial in lane.trials:
        if trial.state in ENDED and trial.replicate is not None and trial.replicate < replicates:
            ended[trial.replicate] += 1
            if trial.state is COMPLETE and trial.value is not None:
                losses[trial.replicate].append(sign * trial.value)
    each = lane.total // replicates
    return [
        StudySoFar(tuple(found), count, max(0, each - count))
        for found, count in zip(losses, ended, strict=True)
    ]


def hardly_moved(before: SearchLane, now: SearchLane) -> bool:
    """Tell if less than a hundredth of a lane's trials have ended since, and none that is better."""
    same = before.best == now.best and before.total == now.total
    return same and 0 <= now.ended - before.ended < now.ended / 100


def by_rank(lanes: Sequence[SearchLane]) -> list[SearchLane]:
    """Return the lanes, the best first; those without a value keep their order at the end."""
    return sorted(lanes, key=lambda lane: lane.rank)
