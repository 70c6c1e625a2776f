"""The confirm phase as a table: one row a finalist, one column a fresh seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.planning.finalists import Finalist, finalists
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import TrialState
from whichopt.service.trial_set import Key, TrialSet
from whichopt.service.trials import Trial, TrialResult


class Ties(NamedTuple):
    """The facts that break a tie of optimizers: the bytes of state, and the place in the catalog."""

    state_bytes: int
    place: int


@dataclass(frozen=True)
class ConfirmTable:
    """The results of the finalists' runs on the fresh seeds that every finalist has run with.

    `values` has the metric on the split that is judged. If a run diverged, it has what stands in for it: what
    a constant predictor scores there, or of a function that brings no baseline, the worst score of all runs.
    `validation` has the metric on the validation split, and no row if a run of the arm diverged; `diverged`
    counts each arm's diverged runs. `sign` is 1 if lower is better, else -1.

    The verdicts count a diverged run as what stands in for it, so that an arm cannot gain by diverging. It is
    no value that a run had, and nothing is shown of it, unless `shows_stand_ins`, as version 0.1 did: by that
    its reports are verified.
    """

    arms: tuple[Finalist, ...]
    seeds: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    validation: tuple[tuple[float, ...] | None, ...]
    diverged: tuple[int, ...]
    sign: float
    ties: Mapping[str, Ties]
    shows_stand_ins: bool = False

    @cached_property
    def losses(self) -> tuple[tuple[float, ...], ...]:
        """`values` with their sign set so that lower is better."""
        return tuple(tuple(self.sign * value for value in row) for row in self.values)

    @cached_property
    def means(self) -> tuple[float, ...]:
        """Each arm's mean loss."""
        return tuple(mean(row) for row in self.losses)

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the spec."""
        return tuple(dict.fromkeys(arm.label for arm in self.arms))

    @cached_property
    def barred(self) -> frozenset[str]:
        """Labels that cannot win: a config that one of their studies chose diverged on a fresh seed."""
        return frozenset(
            arm.label for arm, count in zip(self.arms, self.diverged, strict=True) if count and arm.replicates
        )

    @cached_property
    def finite(self) -> tuple[int, ...]:
        """The arms that can be deployed: those with no diverged run; all, if each has one."""
        return self.clean or tuple(range(len(self.arms)))

    @cached_property
    def clean(self) -> tuple[int, ...]:
        """The arms with no diverged run."""
        return tuple(i for i, count in enumerate(self.diverged) if not count)

    @property
    def has_nothing(self) -> bool:
        """Tell if there is nothing to recommend, because each arm has a diverged run."""
        return not self.clean and not self.shows_stand_ins

    def shown(self, arm: int) -> bool:
        """Tell if the arm's mean may be shown: each of its runs has a value."""
        return self.shows_stand_ins or not self.diverged[arm]

    def of(self, label: str) -> list[int]:
        """The label's arms."""
        return [i for i, arm in enumerate(self.arms) if arm.label == label]

    def best(self, label: str) -> int:
        """The label's arm with the best mean, among those that can be deployed if any can."""
        arms = self.of(label)
        return min([i for i in arms if i in self.finite] or arms, key=lambda i: self.means[i])

    def representative(self, label: str) -> int:
        """The label's arm that is shown: the best, or if none can be deployed the one that diverged least."""
        best = self.best(label)
        if self.shown(best):
            return best
        return min(self.of(label), key=lambda i: (self.diverged[i], self.means[i]))

    def default(self, label: str) -> int:
        return next(i for i in self.of(label) if self.arms[i].is_default)

    def study(self, label: str, replicate: int) -> int:
        """The arm that the label's study chose."""
        return next(i for i in self.of(label) if replicate in self.arms[i].replicates)


def read_confirm_table(
    spec: ResolvedSpec, trials: Sequence[Trial], *, shows_stand_ins: bool = False
) -> ConfirmTable:
    """The table of the confirm runs among `trials`; finalists come from the search trials among them.

    Raises:
        ValueError: there is no fresh seed on which every finalist was run.
    """
    metric = spec.goal.metric
    arms = finalists(spec, trials)
    confirm = TrialSet(spec, trials).by_finalist
    runs: dict[Key, dict[int, TrialResult]] = {
        arm.key: {
            trial.plan.number: trial.result
            for trial in confirm.get(arm.key, ())
            if trial.result is not None and trial.state in (TrialState.COMPLETE, TrialState.DIVERGED)
        }
        for arm in arms
    }
    seeds = tuple(sorted(set.intersection(*(set(runs[arm.key]) for arm in arms))))
    if not seeds:
        raise ValueError("there is no fresh seed on which every finalist was confirmed")
    stand_in = _stand_in(spec, runs.values())
    rows = [[runs[arm.key][seed] for seed in seeds] for arm in arms]
    return ConfirmTable(
        arms=tuple(arms),
        seeds=seeds,
        values=tuple(tuple(_value(result, metric, stand_in) for result in row) for row in rows),
        validation=tuple(_validation(row, metric) for row in rows),
        diverged=tuple(sum(r.value is None for r in runs[arm.key].values()) for arm in arms),
        sign=spec.goal.sign,
        ties={one.label: Ties(one.facts.state_bytes, one.place) for one in spec.optimizers},
        shows_stand_ins=shows_stand_ins,
    )


def _stand_in(spec: ResolvedSpec, runs: Iterable[Mapping[int, TrialResult]]) -> float | None:
    """Return what stands in for a diverged run of a function; None if each run brings its own.

    That is its baseline, or else the worst score of all confirm runs. If none has a score, any number does:
    nothing is recommended then, and nothing is shown of it.
    """
    if spec.guest is None:
        return None
    if spec.guest.baseline is not None:
        return spec.guest.baseline
    scores = [result.value for row in runs for result in row.values() if result.value is not None]
    return max(scores, key=lambda value: spec.goal.sign * value, default=0.0)


def _value(result: TrialResult, metric: str, stand_in: float | None) -> float:
    if result.value is not None:
        return result.value
    if stand_in is not None:
        return stand_in
    if result.reference is None:
        raise ValueError("a confirm run diverged and has no reference to score instead")
    return result.reference[metric]


def _validation(row: Sequence[TrialResult], metric: str) -> tuple[float, ...] | None:
    scores = [r.metrics.get("validation", {}).get(metric) for r in row if r.value is not None]
    values = tuple(value for value in scores if value is not None)
    return values if len(values) == len(row) else None
