"""Chooses the configs that confirm retrains: each study's best, and each optimizer's default."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from whichopt.service.space import Config
from whichopt.service.spec import TODAY, ResolvedOptimizer, ResolvedSpec, ResolvedToday
from whichopt.service.states import Origin, TrialState
from whichopt.service.trial_set import Key, TrialSet, finalist_key
from whichopt.service.trials import Trial


@dataclass(frozen=True)
class Finalist:
    """An arm of the confirm phase: one config of one label, retrained on every fresh seed.

    `replicates` are the studies that chose it (none, for a default that no study chose);
    `searched_value` is its validation value in the first of them that has one.
    """

    label: str
    optimizer: str
    config: Config
    replicates: tuple[int, ...]
    is_default: bool
    origin: Origin
    searched_value: float | None

    @property
    def key(self) -> Key:
        return finalist_key(self.label, self.config)

    @property
    def replicate(self) -> int | None:
        """The study that its confirm plans name; None for today's config, and for the default, even if a
        study chose it."""
        return self.replicates[0] if self.replicates and not self.is_default else None


def finalists(spec: ResolvedSpec, trials: Sequence[Trial]) -> list[Finalist]:
    """The arms of the confirm phase, from the search trials among `trials`.

    For each label in the order of the spec: the best complete trial of each study (ties go to the lowest
    number), with the default standing in if a study has no complete trial, and then the default itself.
    A config that a label has already is not an arm again; the arm knows every study that chose it.
    """
    best = study_bests(spec, trials)
    return [
        arm
        for optimizer in spec.optimizers
        for arm in _arms(optimizer, [best.get((optimizer.label, r)) for r in range(spec.budget.replicates)])
    ]


def todays_arm(today: ResolvedToday) -> Finalist:
    """The arm of confirm that today's config is: no study chose it, and it is no finalist of any."""
    return Finalist(
        label=TODAY,
        optimizer=today.name,
        config=today.config,
        replicates=(),
        is_default=False,
        origin=Origin.USER,
        searched_value=None,
    )


def judged(spec: ResolvedSpec, trials: Iterable[Trial]) -> list[Trial]:
    """The search trials that ended, and count: all of them, unless time stopped some.

    Then a study's trials count up to the first number that was stopped in its replicate, whichever study's
    that was: of each replicate all optimizers have as many, as if it had ended there. Minutes buy equal
    seconds and not equal numbers: with them, all that ended count.
    """
    searched = TrialSet(spec, tuple(trials)).search
    ends: dict[int | None, int] = {}
    for trial in searched:
        if trial.state is TrialState.CANCELLED and not spec.budget.timed:
            replicate, number = trial.plan.replicate, trial.plan.number
            ends[replicate] = min(number, ends.get(replicate, number))
    return [
        trial
        for trial in searched
        if trial.state.has_result and trial.plan.number < ends.get(trial.plan.replicate, math.inf)
    ]


def study_bests(spec: ResolvedSpec, trials: Iterable[Trial]) -> Mapping[tuple[str, int], Trial]:
    """The best complete search trial of each study (label, replicate) that has one."""
    sign = spec.goal.sign
    best: dict[tuple[str, int], tuple[tuple[float, int], Trial]] = {}
    for trial in judged(spec, trials):
        plan, result = trial.plan, trial.result
        if trial.state is not TrialState.COMPLETE:
            continue
        if plan.replicate is None or result is None or result.value is None:
            continue
        study, rank = (plan.label, plan.replicate), (sign * result.value, plan.number)
        if study not in best or rank < best[study][0]:
            best[study] = (rank, trial)
    return {study: trial for study, (_, trial) in best.items()}


def _arms(optimizer: ResolvedOptimizer, chosen: Sequence[Trial | None]) -> list[Finalist]:
    """The arms of one label; `chosen` is the best trial of each of its studies."""
    default = Finalist(
        label=optimizer.label,
        optimizer=optimizer.name,
        config=optimizer.default,
        replicates=(),
        is_default=True,
        origin=Origin.DEFAULT,
        searched_value=None,
    )
    arms: dict[Key, Finalist] = {}
    for replicate, trial in enumerate(chosen):
        arm = default if trial is None else _found(default, trial)
        first = arms.get(arm.key, arm)
        value = arm.searched_value if first.searched_value is None else first.searched_value
        arms[arm.key] = replace(first, replicates=(*first.replicates, replicate), searched_value=value)
    arms.setdefault(default.key, default)
    return list(arms.values())


def _found(default: Finalist, trial: Trial) -> Finalist:
    value = None if trial.result is None else trial.result.value
    if trial.plan.config == default.config:
        return replace(default, searched_value=value)
    return replace(
        default,
        config=trial.plan.config,
        is_default=False,
        origin=trial.plan.origin,
        searched_value=value,
    )
