"""What many jobs on tables said, held against the truth.

*Optimizer verdict.* A part of a table is better if a study with the product's own search and budget finds
better configs in it on average, by their true losses. That expectation is taken over studies of all jobs but
the one that is judged: as many as there are, each with its own draws. Jobs in which a part stands against
itself have no better optimizer, whatever their studies found.

*Config verdict.* A winner is right only if it is better than every finalist of the other optimizers,
champion or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from benchmarks.shared.rates import LOWER, MOST, clopper_pearson
from benchmarks.tables.jobs import Outcome
from benchmarks.tables.published import PublishedTable

PICKS: dict[str, Callable[[Outcome], float]] = {
    "whichopt": lambda outcome: outcome.pick,
    "its best trial": lambda outcome: outcome.single,
    "random search": lambda outcome: outcome.random,
    "default": lambda outcome: outcome.default,
}
"""The true loss of what each policy picks."""

SPLIT, ITSELF = "parts", "a part against itself"
KINDS = (SPLIT, ITSELF)


class Merit(NamedTuple):
    """The expected true loss of the config that a study of a part finds, and its standard error."""

    mean: float
    error: float
    spread: float
    """Standard deviation of a study."""

    studies: int


@dataclass(frozen=True)
class Rate:
    """A count of jobs, and the bounds of its share at 95%."""

    count: int
    jobs: int

    @property
    def share(self) -> float:
        return self.count / self.jobs

    @property
    def bounds(self) -> tuple[float, float]:
        return clopper_pearson(self.count, self.jobs)

    @property
    def met(self) -> bool:
        """Tell if false winners may be so many: none shown to be above 5%, and at most 6.5%."""
        return self.share <= MOST and self.bounds[0] <= LOWER

    def __str__(self) -> str:
        low, high = self.bounds
        return f"{100 * self.share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


@dataclass(frozen=True)
class Verdicts:
    """Of the jobs of one kind: how often each verdict named a right winner, and how often a false one.

    Of those that the optimizer verdict named, `near` are within two standard errors of what their part's
    merit, or that of the best other one, is known by: the truth is a close call there, and is taken as it
    was found.
    """

    config_right: Rate
    config_false: Rate
    optimizer_right: Rate
    optimizer_false: Rate
    near: int

    @property
    def met(self) -> bool:
        return self.config_false.met and self.optimizer_false.met


def merits(outcomes: Iterable[Outcome], table: str, without: Outcome | None = None) -> dict[str, Merit]:
    """Return the merit of each part of a table, from the studies of all jobs but one."""
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.table == table and outcome is not without:
            for part, studies in zip(outcome.parts, outcome.studies, strict=True):
                found.setdefault(part, []).extend(studies)
    return {
        part: Merit(fmean(studies), stdev(studies) / math.sqrt(len(studies)), stdev(studies), len(studies))
        for part, studies in found.items()
    }


class OptimizerTruth(NamedTuple):
    """Whether the part that was named is the best, and whether that is a close call."""

    right: bool
    near: bool


def optimizer_truth(outcome: Outcome, outcomes: Sequence[Outcome]) -> OptimizerTruth | None:
    """Return the truth about the winner that the optimizer verdict named; None if it named none."""
    if outcome.optimizer is None:
        return None
    if outcome.against_itself:
        return OptimizerTruth(right=False, near=False)
    known = merits(outcomes, outcome.table, without=outcome)
    named = known.pop(outcome.parts[outcome.optimizer])
    rival = min(known.values())
    lead = rival.mean - named.mean
    return OptimizerTruth(right=lead > 0, near=abs(lead) < 2 * math.hypot(named.error, rival.error))


def verdicts(outcomes: Sequence[Outcome], among: Iterable[Outcome] | None = None) -> Verdicts:
    """Count what the verdicts of jobs said.

    Args:
        outcomes: all jobs; the merits of parts are known by them.
        among: the jobs to count; None for all.
    """
    counted = list(outcomes if among is None else among)
    truths = [truth for one in counted if (truth := optimizer_truth(one, outcomes)) is not None]

    def rate(count: int) -> Rate:
        return Rate(count, len(counted))

    return Verdicts(
        config_right=rate(sum(one.config is True for one in counted)),
        config_false=rate(sum(one.config is False for one in counted)),
        optimizer_right=rate(sum(truth.right for truth in truths)),
        optimizer_false=rate(sum(not truth.right for truth in truths)),
        near=sum(truth.near for truth in truths),
    )


def of_kind(outcomes: Iterable[Outcome], kind: str) -> list[Outcome]:
    """Return the jobs in which the parts of a table compete, or those in which one does with itself."""
    return [one for one in outcomes if one.against_itself == (kind == ITSELF)]


class Regret(NamedTuple):
    """The mean regret of a policy's picks, with its bounds at 95% if there are two jobs, and the median
    share of the table's configs that are better than its pick.
    """

    mean: float
    low: float
    high: float
    better: float


def regrets(outcomes: Sequence[Outcome], tables: Sequence[PublishedTable]) -> dict[str, Regret]:
    """Return each policy's regret over the jobs in which parts compete, all tables with equal weight.

    The bounds are those of the mean over jobs, on these tables: a normal approximation by table.
    """
    found = {}
    for policy, pick in PICKS.items():
        means, variances, better = [], [], []
        for table in tables:
            picks = [pick(one) for one in of_kind(outcomes, SPLIT) if one.table == table.name]
            own = [table.regret(loss) for loss in picks]
            means.append(fmean(own))
            variances.append(stdev(own) ** 2 / len(own) if len(own) > 1 else math.nan)
            better += [table.better(loss) for loss in picks]
        reach = 1.96 * math.sqrt(sum(variances)) / len(tables)
        mean = fmean(means)
        found[policy] = Regret(mean, mean - reach, mean + reach, sorted(better)[len(better) // 2])
    return found


def lead(outcomes: Iterable[Outcome], table: str) -> float:
    """Return by how much a table's best part leads, in standard deviations of what its studies find."""
    first, second = sorted(merits(outcomes, table).values())[:2]
    return (second.mean - first.mean) / max(first.spread, second.spread)


def unmet(outcomes: Sequence[Outcome], tables: Sequence[PublishedTable]) -> list[str]:
    """Return what does not hold, in words: of all jobs together, and of each table's."""
    failures = []
    for kind in KINDS:
        jobs = of_kind(outcomes, kind)
        found = verdicts(outcomes, jobs)
        for question, rate in (("config", found.config_false), ("optimizer", found.optimizer_false)):
            if not rate.met:
                failures.append(f"{kind}, all tables: a false {question} winner in {rate}% of the jobs")
        for table in tables:
            own = verdicts(outcomes, [one for one in jobs if one.table == table.name])
            failures += [
                f"{kind}, {table.name}: a false {question} winner in {rate}% of the jobs"
                for question, rate in (("config", own.config_false), ("optimizer", own.optimizer_false))
                if rate.bounds[0] > LOWER
            ]
    return failures
