"""The trials as the analysis reads them: losses (lower is better) by study, and the confirm runs by finalist.

They are sorted here, so that nothing depends on the order in which they were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, read_confirm_table
from whichopt.service.planning.finalists import finalists
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Origin, TrialState
from whichopt.service.trial_set import Key, TrialSet
from whichopt.service.trials import Trial, TrialResult


@dataclass(frozen=True)
class Attempt:
    """A search trial that has ended; `loss` is None unless it is complete."""

    origin: Origin
    ending: TrialState
    loss: float | None
    lr: float | None
    seconds: float

    @property
    def rank(self) -> float:
        """Its loss, and infinity if it has none: ranked last."""
        return math.inf if self.loss is None else self.loss


@dataclass(frozen=True)
class Study:
    """The ended trials of one study, by number; there is at least one."""

    label: str
    replicate: int
    attempts: tuple[Attempt, ...]

    @property
    def best(self) -> float | None:
        return min((a.loss for a in self.attempts if a.loss is not None), default=None)

    @property
    def random(self) -> tuple[Attempt, ...]:
        """The trials drawn at random from the space, independently of each other and of all results."""
        return tuple(a for a in self.attempts if a.origin is Origin.RANDOM)


@dataclass(frozen=True)
class JobData:
    """A job's trials. `studies` has each label's, by replicate, without those that have no ended trial.

    `table` and `runs` are of the confirm phase: its table, and the results behind it on the seeds that
    all its arms share. None and empty if there is no such seed yet. `sign` turns a value into a loss and
    a loss into a value.
    """

    spec: ResolvedSpec
    metric: str
    sign: float
    trials: tuple[Trial, ...]
    studies: dict[str, tuple[Study, ...]]
    table: ConfirmTable | None
    runs: dict[Key, tuple[TrialResult, ...]]

    def value(self, loss: float | None) -> float | None:
        return None if loss is None or not math.isfinite(loss) else self.sign * loss

    def band(self, low: float | None, high: float | None) -> tuple[float | None, float | None]:
        """Ends of an interval of losses as ends of one of values."""
        ends = self.value(low), self.value(high)
        return ends if self.sign > 0 else ends[::-1]

    def best_runs(self, label: str) -> tuple[TrialResult, ...]:
        """The runs of the label's best finalist, the one that the ranking shows, by seed."""
        if self.table is None:
            return ()
        return self.runs[self.table.arms[self.table.best(label)].key]

    def loss_on(self, split: str, result: TrialResult) -> float | None:
        """The run's loss on `split` at its last step; None unless it is complete."""
        value = result.metrics.get(split, {}).get(self.metric)
        if result.state is not TrialState.COMPLETE or value is None or not math.isfinite(value):
            return None
        return self.sign * value


def read(spec: ResolvedSpec, trials: Sequence[Trial], *, shows_stand_ins: bool = False) -> JobData:
    sign = spec.goal.sign
    ordered = tuple(sorted(trials, key=_place))
    of_job = TrialSet(spec, ordered)
    table, runs = _confirm(spec, ordered, shows_stand_ins=shows_stand_ins)
    return JobData(
        spec=spec,
        metric=spec.goal.metric,
        sign=sign,
        trials=ordered,
        studies={label: _studies(label, of_job, sign) for label in spec.labels},
        table=table,
        runs=runs,
    )


def _place(trial: Trial) -> tuple[str, str, int, int, str]:
    plan = trial.plan
    replicate = -1 if plan.replicate is None else plan.replicate
    return plan.phase.value, plan.label, replicate, plan.number, repr(sorted(plan.config.items()))


def _studies(label: str, of_job: TrialSet, sign: float) -> tuple[Study, ...]:
    studies = []
    for replicate in range(of_job.spec.budget.replicates):
        attempts = tuple(
            _attempt(trial, trial.result, sign)
            for trial in of_job.by_study.get((label, replicate), ())
            if trial.result is not None and trial.state.has_result
        )
        if attempts:
            studies.append(Study(label, replicate, attempts))
    return tuple(studies)


def _attempt(trial: Trial, result: TrialResult, sign: float) -> Attempt:
    lr = trial.plan.config.get("lr")
    known = result.state is TrialState.COMPLETE and result.value is not None and math.isfinite(result.value)
    return Attempt(
        origin=trial.plan.origin,
        ending=result.state,
        loss=sign * result.value if known and result.value is not None else None,
        lr=float(lr) if isinstance(lr, int | float) else None,
        seconds=result.seconds,
    )


def _confirm(
    spec: ResolvedSpec, trials: Sequence[Trial], *, shows_stand_ins: bool
) -> tuple[ConfirmTable | None, dict[Key, tuple[TrialResult, ...]]]:
    arms = finalists(spec, trials)
    confirm = TrialSet(spec, trials).by_finalist
    runs: dict[Key, dict[int, TrialResult]] = {
        arm.key: {
            trial.plan.number: trial.result for trial in confirm.get(arm.key, ()) if trial.result is not None
        }
        for arm in arms
    }
    if not set.intersection(*(set(runs[arm.key]) for arm in arms)):
        return None, {}
    table = read_confirm_table(spec, trials, shows_stand_ins=shows_stand_ins)
    return table, {arm.key: tuple(runs[arm.key][seed] for seed in table.seeds) for arm in table.arms}
