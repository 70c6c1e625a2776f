"""The confirm phase as a table: one row a finalist, one column a fresh seed."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from whichopt.service.evidence.statistics.estimates import ALPHA, Estimate, mean, paired_difference
from whichopt.service.evidence.statistics.pairwise import all_paired
from whichopt.service.evidence.verdict.todays_runs import TodaysRuns, read_todays_runs
from whichopt.service.planning.finalists import Finalist, finalists
from whichopt.service.planning.looks import Look, look_of, planned_looks
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
    rules: int = 1
    first: ConfirmTable | None = None
    today: TodaysRuns | None = None

    @property
    def challenger(self) -> int | None:
        """The champion that is held against today's config unless another wins: the best one of the first
        stage that can win, on which the seeds of the champions have no say. None if there is none.
        """
        if self.first is None:
            return None
        first = self.first
        able = [i for i in self.clean if self.arms[i].label not in self.barred]
        return min(able, key=lambda i: first.means[first.arms.index(self.arms[i])], default=None)

    @property
    def finalists(self) -> ConfirmTable:
        """The table of every finalist: this one, or that of the first stage."""
        return self.first or self

    @property
    def all_seeds(self) -> int:
        """Fresh seeds of a champion, or if there is none of every finalist."""
        return len(self.seeds) + (len(self.first.seeds) if self.first else 0)

    @property
    def config_alpha(self) -> float:
        """The one-sided level of a test of two arms of different labels, before it is spent over looks.

        See `whichopt.service.evidence.verdict.winners`.
        """
        if self.rules < 2:
            return ALPHA / len(self.arms)
        if self.first:
            return ALPHA / 2
        return ALPHA / (2 * max(len(self.of(label)) for label in self.labels))

    def difference(self, arm: int, other: int, theirs: Sequence[float] | None = None) -> Estimate:
        """The mean loss of `arm` minus that of `other`; by rules 2 its error is at least the pooled one.

        Args:
            theirs: losses to take in place of the other arm's, such as these worsened by a margin.
        """
        estimate = paired_difference(self.losses[arm], self.losses[other] if theirs is None else theirs)
        return estimate._replace(error=max(estimate.error, self.least_error(arm, other)))

    def least_error(self, arm: int, other: int) -> float:
        """The least standard error of the difference of two arms' means on these seeds; 0 by rules 1."""
        if self.rules < 2:
            return 0.0
        spread = self.finalists.pooled_spreads[self.arms[arm].label, self.arms[other].label]
        return spread / math.sqrt(len(self.seeds))

    @cached_property
    def pooled_spreads(self) -> Mapping[tuple[str, str], float]:
        """The standard deviation, over seeds, of the difference of two labels' runs, by pair of labels.

        It is pooled over all pairs of a finalist of the one and a finalist of the other, of those that stayed
        finite. If the few runs of one config look calm by luck, those of its label's others know better.
        """
        spread = all_paired(self.losses).errors * math.sqrt(len(self.seeds))
        finite = {label: [i for i in self.of(label) if i in self.finite] for label in self.labels}
        return {
            (one, other): 0.0
            if one == other or not finite[one] or not finite[other]
            else math.hypot(*spread[finite[one]][:, finite[other]].ravel().tolist())
            / math.sqrt(len(finite[one]) * len(finite[other]))
            for one in self.labels
            for other in self.labels
        }

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
        """Labels that cannot win: a config that one of their studies chose diverged on a fresh seed, or their
        champion did."""
        own = {
            arm.label
            for i, (arm, count) in enumerate(zip(self.arms, self.diverged, strict=True))
            if count and (arm.replicates or (self.first is not None and i == self.of(arm.label)[0]))
        }
        return frozenset(own | (self.first.barred if self.first else set()))

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
        """The label's default, of a table that has it: that of the finalists does."""
        return next(i for i in self.of(label) if self.arms[i].is_default)

    def with_default(self, label: str) -> ConfirmTable:
        """The table that has the label's default: this one, or that of the first stage."""
        return self if any(self.arms[i].is_default for i in self.of(label)) else self.finalists

    def diverged_runs(self, label: str) -> int:
        """Runs of the label's finalists that diverged."""
        arms = [self.arms[i].key for i in self.of(label)]
        others = [i for i in self.finalists.of(label) if self.finalists.arms[i].key not in arms]
        return sum(self.diverged[i] for i in self.of(label)) + sum(self.finalists.diverged[i] for i in others)

    @property
    def whose(self) -> str:
        """What its arms are called."""
        return "finalist" if self.first is None else "champion"

    def default_mean(self, label: str) -> float:
        """The mean loss of the label's default, on the fresh seeds of every finalist."""
        return self.finalists.means[self.finalists.default(label)]

    def study(self, label: str, replicate: int) -> int:
        """The arm that the label's study chose."""
        return next(i for i in self.of(label) if replicate in self.arms[i].replicates)


def read_confirm_table(
    spec: ResolvedSpec, trials: Sequence[Trial], *, shows_stand_ins: bool = False
) -> ConfirmTable:
    """The table of the confirm runs among `trials`; finalists come from the search trials among them.

    By rules 2 it is that of the champions once they have a fresh seed of their own.

    Raises:
        ValueError: there is no fresh seed on which every finalist was run.
    """
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
    reader = _Reader(spec, runs, shows_stand_ins, read_todays_runs(spec, trials))
    if spec.rules < 2:
        return reader.table(arms, range(sys.maxsize))
    planned = planned_looks(spec, len(arms))
    first = reader.table(arms, range(planned[0]))
    later, alone = champions(first), range(planned[0], planned[-1])
    return reader.table(later, alone, first) if reader.seeds(later, alone) else first


def look_at(spec: ResolvedSpec, table: ConfirmTable) -> Look:
    """The look that the table's seeds are."""
    return look_of(spec, table.all_seeds, len(table.finalists.arms))


def arms_at(spec: ResolvedSpec, trials: Sequence[Trial], seed: int) -> list[Finalist]:
    """The finalists that train on that fresh seed: all, or by rules 2 after the first stage the champions."""
    every = finalists(spec, trials)
    if spec.rules < 2 or seed < planned_looks(spec, len(every))[0]:
        return every
    return champions(read_confirm_table(spec, trials).finalists)


def champions(first: ConfirmTable) -> list[Finalist]:
    """The arms of the later stages of confirm by rules 2, from the table of the first stage.

    They are each label's best finalist, of those that stayed finite if any did; an only label's champion is
    followed by its default, so that it has something to beat.
    """
    arms = [first.arms[first.best(label)] for label in first.labels]
    if len(arms) == 1 and not arms[0].is_default:
        arms.append(first.arms[first.default(arms[0].label)])
    return arms


@dataclass(frozen=True)
class _Reader:
    """The results of each finalist by fresh seed, of which tables are made."""

    spec: ResolvedSpec
    runs: Mapping[Key, Mapping[int, TrialResult]]
    shows_stand_ins: bool
    today: TodaysRuns | None

    def seeds(self, arms: Sequence[Finalist], among: range) -> tuple[int, ...]:
        """The fresh seeds among those that all of the arms have run with."""
        common = set.intersection(*(set(self.runs[arm.key]) for arm in arms))
        return tuple(sorted(seed for seed in common if seed in among))

    def table(
        self, arms: Sequence[Finalist], among: range, first: ConfirmTable | None = None
    ) -> ConfirmTable:
        """The table of the arms on the fresh seeds among those."""
        spec, metric = self.spec, self.spec.goal.metric
        seeds = self.seeds(arms, among)
        if not seeds:
            raise ValueError("there is no fresh seed on which every finalist was confirmed")
        runs = {
            arm.key: {seed: run for seed, run in self.runs[arm.key].items() if seed in among} for arm in arms
        }
        stand_in = _stand_in(spec, self.runs.values())
        rows = [[runs[arm.key][seed] for seed in seeds] for arm in arms]
        return ConfirmTable(
            arms=tuple(arms),
            seeds=seeds,
            values=tuple(tuple(_value(result, metric, stand_in) for result in row) for row in rows),
            validation=tuple(_validation(row, metric) for row in rows),
            # A champion that diverged in the first stage is no more to be deployed than one that does later.
            diverged=tuple(
                sum(run.value is None for run in (runs if first is None else self.runs)[arm.key].values())
                for arm in arms
            ),
            sign=spec.goal.sign,
            ties={one.label: Ties(one.facts.state_bytes, one.place) for one in spec.optimizers},
            shows_stand_ins=self.shows_stand_ins,
            rules=spec.rules,
            first=first,
            today=self.today,
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
