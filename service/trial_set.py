"""A job's trials by what they are for: the search by study, confirm by finalist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from whichopt.service.space import Config, Value
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial

Key = tuple[str, tuple[tuple[str, Value], ...]]
"""A label and its config, hashable: what a finalist and its confirm runs have in common."""


TrialT = TypeVar("TrialT", bound=Trial)


def finalist_key(label: str, config: Config) -> Key:
    return label, tuple(sorted(config.items()))


def counted(trials: Sequence[TrialT], concluded_seeds: int | None) -> Sequence[TrialT]:
    """Return the trials that count: if confirm was ended by request, those before that number of seeds."""
    if concluded_seeds is None:
        return trials
    return [t for t in trials if t.plan.phase is Phase.SEARCH or t.plan.number < concluded_seeds]


@dataclass(frozen=True)
class TrialSet:
    """The trials of one job. Each grouping keeps their order, and is made when it is first asked for."""

    spec: ResolvedSpec
    trials: Sequence[Trial]

    @cached_property
    def search(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.plan.phase is Phase.SEARCH)

    @cached_property
    def searched(self) -> tuple[Trial, ...]:
        """The search trials that ended with a result."""
        return tuple(trial for trial in self.search if trial.state.has_result)

    @cached_property
    def confirm(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.plan.phase is Phase.CONFIRM)

    @cached_property
    def by_study(self) -> Mapping[tuple[str, int | None], tuple[Trial, ...]]:
        """The search trials by label and replicate."""
        studies: dict[tuple[str, int | None], list[Trial]] = defaultdict(list)
        for trial in self.search:
            studies[trial.plan.label, trial.plan.replicate].append(trial)
        return {study: tuple(trials) for study, trials in studies.items()}

    @cached_property
    def by_finalist(self) -> Mapping[Key, tuple[Trial, ...]]:
        """The confirm trials by label and config."""
        finalists: dict[Key, list[Trial]] = defaultdict(list)
        for trial in self.confirm:
            finalists[finalist_key(trial.plan.label, trial.plan.config)].append(trial)
        return {key: tuple(trials) for key, trials in finalists.items()}
