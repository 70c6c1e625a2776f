"""What confirm's looks found, one after the other: each as the verdict finds it that looks there for good.

Nothing here decides anything. A look that was taken follows from the runs that counted at it, by the same
functions as a recommendation, so that what is shown of it is what concluding there would have said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from whichopt.service.evidence.statistics.estimates import ALPHA, mean_estimate
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, look_at, read_confirm_table
from whichopt.service.evidence.verdict.keep_or_switch import Answer, keep_or_switch, todays_tail
from whichopt.service.evidence.verdict.ranking import ranking
from whichopt.service.evidence.verdict.winners import ConfigVerdict, config_gaps, config_verdict
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.looks import ChampionLook, Look, look_of, planned_looks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trial_set import counted
from whichopt.service.trials import Trial
from whichopt.service.views import Interval, RankedOptimizer

Found = Literal["champions", "winner", "tie", "nothing"]
"""The outcome of a look: `champions` if it only chose them, and seeds of their own follow."""


@dataclass(frozen=True)
class TodayThen:
    """Today's config at a look: its mean, with an interval outside of the verdicts' families, and the answer.

    `value` is None if a run diverged or there is none yet.
    """

    optimizer: str
    value: Interval | None
    diverged: int
    answer: Answer


@dataclass(frozen=True)
class TakenLook:
    """A look at the results.

    `seeds` are the fresh seeds up to it, `judged` those that its verdict counts. `level` is the part of the
    config verdict's 5 % that it may spend; None if it only chooses champions. `best` and `pick` are labels,
    None if nothing can be deployed; `possible` are the labels that may be the best, the best mean first.
    """

    number: int
    seeds: int
    judged: int
    level: float | None
    found: Found
    best: str | None
    pick: str | None
    possible: tuple[str, ...]
    ranking: tuple[RankedOptimizer, ...]
    today: TodayThen | None

    @property
    def odds(self) -> Mapping[str, float]:
        """The probability of being the best by label; empty if nothing can be deployed."""
        return {
            row.optimizer: row.probability_best for row in self.ranking if row.probability_best is not None
        }


@dataclass(frozen=True)
class ComingLook:
    """A look that is planned: the fresh seeds up to it, and the part of the 5 % that it may spend."""

    number: int
    seeds: int
    level: float | None


@dataclass(frozen=True)
class Looks:
    """The looks of a job: those that were taken, and those that are planned if its outcome stays open.

    `finalists` and `champions` are the configs of a stage; `first` is the number of seeds that choose the
    champions, None if there are none.
    """

    taken: tuple[TakenLook, ...]
    coming: tuple[ComingLook, ...]
    finalists: int
    first: int | None

    @property
    def most(self) -> int:
        """The most fresh seeds of a config."""
        return (self.coming or self.taken)[-1].seeds


def look_by_look(spec: ResolvedSpec, trials: Sequence[Trial], *, ended: bool = False) -> Looks:
    """Return the looks of a job that confirms or has confirmed.

    Args:
        spec: the job.
        trials: its trials; those without a result do not count yet.
        ended: True if no more will come, so that seeds after the last planned look count as well.
    """
    arms = len(finalists(spec, trials))
    planned = planned_looks(spec, arms)
    first = planned[0] if spec.rules > 1 and len(planned) > 1 else None
    taken: list[TakenLook] = []
    for seeds in planned:
        table = _table(spec, counted(trials, seeds))
        if table is None or look_at(spec, table).seeds < seeds:
            break
        taken.append(_taken(spec, trials, table, len(taken) + 1, ended=ended and seeds == planned[-1]))
    table = _table(spec, trials) if ended else None
    if table is not None and look_at(spec, table).seeds > (taken[-1].seeds if taken else 0):
        taken.append(_taken(spec, trials, table, len(taken) + 1, ended=True))
    done = taken[-1].seeds if taken else 0
    left = [] if ended else [seeds for seeds in planned if seeds > done]
    coming = [
        ComingLook(number, seeds, _level(look_of(spec, seeds, arms), chooses=seeds == first))
        for number, seeds in enumerate(left, start=len(taken) + 1)
    ]
    return Looks(tuple(taken), tuple(coming), finalists=arms, first=first)


def _table(spec: ResolvedSpec, trials: Sequence[Trial]) -> ConfirmTable | None:
    """The table of confirm; None before a fresh seed on which every finalist has run."""
    try:
        return read_confirm_table(spec, trials)
    except ValueError:
        return None


def _level(look: Look, *, chooses: bool) -> float | None:
    return None if chooses else look.config_level(ALPHA)


def _taken(
    spec: ResolvedSpec, trials: Sequence[Trial], table: ConfirmTable, number: int, *, ended: bool
) -> TakenLook:
    look = look_at(spec, table)
    verdict = config_verdict(table, alpha=look.config_level, margin=spec.margin)
    gaps = config_gaps(table, alpha=look.config_level, margin=spec.margin)
    chooses = isinstance(look, ChampionLook) and not look.champions and bool(look.further) and not ended
    label = None if table.has_nothing else table.arms[verdict.best].label
    return TakenLook(
        number=number,
        seeds=look.seeds,
        judged=len(table.seeds),
        level=_level(look, chooses=chooses),
        found="nothing" if table.has_nothing else "champions" if chooses else verdict.verdict,
        best=label,
        pick=None if table.has_nothing else table.arms[verdict.pick].label,
        possible=() if table.has_nothing else verdict.equivalent,
        ranking=tuple(ranking(spec, trials, table, verdict, gaps, look)),
        today=_today(spec, table, look, verdict),
    )


def _today(spec: ResolvedSpec, table: ConfirmTable, look: Look, verdict: ConfigVerdict) -> TodayThen | None:
    today = table.today
    if today is None:
        return None
    found = keep_or_switch(table, look, verdict, spec.margin)
    values = [table.sign * today.losses[seed] for seed in table.seeds if seed in today.losses]
    value = None
    if values and not today.diverged:
        estimate = mean_estimate(values)
        low, high = estimate.bounds(todays_tail(table, look))
        value = Interval(mean=estimate.mean, low=low, high=high, level=1 - ALPHA, seeds=len(values))
    return TodayThen(today.optimizer, value, today.diverged, found.answer)
