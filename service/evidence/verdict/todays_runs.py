"""The runs of today's config on the fresh seeds, which no verdict about the finalists reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whichopt.service.planning.finalists import Finalist
from whichopt.service.space import Config
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Trial


@dataclass(frozen=True)
class TodaysRuns:
    """Today's config, its losses by the number of the fresh seed (lower is better), and its diverged runs."""

    optimizer: str
    config: Config
    losses: Mapping[int, float]
    diverged: int

    def is_the_same_as(self, arm: Finalist) -> bool:
        """Tell if a finalist is today's config: the same optimizer with the same hyperparameters."""
        return (arm.optimizer, arm.config) == (self.optimizer, self.config)


def own_trials(spec: ResolvedSpec, trials: Sequence[Trial]) -> Sequence[Trial]:
    """Return the trials without those of today's config: what the job's optimizers are judged by."""
    return trials if spec.today is None else [trial for trial in trials if trial.plan.label != TODAY]


def todays_trials(spec: ResolvedSpec, trials: Sequence[Trial]) -> list[Trial]:
    """Return the runs of today's config; there are none without one."""
    if spec.today is None:
        return []
    return [trial for trial in trials if trial.plan.label == TODAY and trial.plan.phase is Phase.CONFIRM]


def read_todays_runs(spec: ResolvedSpec, trials: Sequence[Trial]) -> TodaysRuns | None:
    """Return the runs of today's config that have ended; None if the job has no such config."""
    if spec.today is None:
        return None
    losses, diverged = {}, 0
    for trial in todays_trials(spec, trials):
        if trial.state is TrialState.DIVERGED:
            diverged += 1
        elif (
            trial.state is TrialState.COMPLETE and trial.result is not None and trial.result.value is not None
        ):
            losses[trial.plan.number] = spec.goal.sign * trial.result.value
    return TodaysRuns(spec.today.name, spec.today.config, losses, diverged)
