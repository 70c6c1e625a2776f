"""Confirm in stages: when to look at the results, and what each look may spend.

*Rules 2* begin with a first stage, in which every finalist trains on a few fresh seeds. It decides the
optimizer verdict, and chooses one champion for each optimizer. Only champions train on the seeds that follow,
and the config verdict looks at these: after a quarter of them, a half, and all (`ChampionLook`). A test of it
spends its level by the joint law of the looks (`whichopt.service.evidence.statistics.sequential`). The runs
that the other finalists would have had are the champions', so a job has no more runs than before.

*Rules 1* run every finalist on every seed (`Look`). What follows is about them.

Fresh seeds are added in at most three stages, and the verdicts are taken after each (a *look*). Looking
repeatedly at a fixed level would err more often the more often one looks, so the level is spent over the
looks (Lan and DeMets 1983, Biometrika 70: 659-663), and all tests and intervals at a look are made at what
that look may spend: they are repeated confidence intervals (Jennison and Turnbull 1989, Journal of the Royal
Statistical Society B 51: 305-361). These hold at all looks together, so *whatever* decides to stop, a rule
(`whichopt.service.evidence.verdict.stopping`), a deadline or a person, the error rates stay.

*Config verdict.* The level alpha of a test is cut into shares that sum to one, and look k tests at
`share_k * alpha`. An error at any look is at most the sum of the errors at each look (a union bound), which
needs nothing to be known of how the looks depend on each other.

*Optimizer verdict.* The luck of the studies is the same at every look, since only seeds are added; to add up
its looks would count one piece of luck three times. Let T_k = d_k / sqrt(A_k^2 + B_k^2) be the crossed
statistic (`stats.crossed_difference`), A from R studies and B from S_k seeds. If the luck of the studies
is all there is, T_k has the same value at all looks, with R - 1 degrees of freedom; if the luck of the
seeds is all there is, T_k is a t statistic with S_k - 1. The level `a` at each look is the largest at which
both keep the whole,

    P(t_{R-1} > min_k c_k) <= alpha,    sum_k P(t_{S_k - 1} > c_k) <= alpha,    c_k = t(min(R, S_k) - 1; a),

and between the two ends it errs less, as a single crossed test does (`benchmarks.calibration` checks it).
With the usual three studies this is almost the whole of alpha.

A number of seeds that is no planned look (a deadline came first) is looked at with the share of the stage
that it lies in, so that a stage spends its share once. Below the first look nothing has been spent, and
nothing is looked at later: it has the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from whichopt.service.evidence.statistics.sequential import level_at
from whichopt.service.spec import ResolvedSpec

FEWEST_STAGED = 6
"""With fewer fresh seeds there is one look: two of three seeds each would tell nothing."""

FEWEST_LOOKED_AT = 3
"""Champions are looked at early after at least so many seeds."""

FEWEST_CHAMPIONS = 3
"""With fewer seeds of its champions a job has none."""

SHARES: dict[int, tuple[float, ...]] = {1: (1.0,), 2: (0.3, 0.7), 3: (0.1, 0.35, 0.55)}
"""Share of the level that each look may spend, by the number of looks."""


def looks(confirm_seeds: int) -> tuple[int, ...]:
    """Fresh seeds at each look; the last is `confirm_seeds`.

    The first look has a quarter of them, but at least 4 (with 3, a test has 2 degrees of freedom and sees
    nothing) and at most 8; the second is the geometric mean of the first and the last.
    """
    if confirm_seeds < FEWEST_STAGED:
        return (confirm_seeds,)
    first = min(max(4, confirm_seeds // 4), 8)
    middle = round(math.sqrt(first * confirm_seeds))
    return (first, confirm_seeds) if confirm_seeds < 8 else (first, middle, confirm_seeds)


@dataclass(frozen=True)
class Look:
    """The progress of confirm: `seeds` fresh seeds of `planned[-1]`."""

    planned: tuple[int, ...]
    seeds: int

    @property
    def index(self) -> int:
        """The index of the current stage."""
        return next((k for k, seeds in enumerate(self.planned) if self.seeds <= seeds), len(self.planned) - 1)

    @property
    def share(self) -> float:
        """The share of the config verdict's level that this look may spend."""
        return 1.0 if self.seeds < self.planned[0] else SHARES[len(self.planned)][self.index]

    @property
    def further(self) -> tuple[int, ...]:
        """The looks after it."""
        return tuple(seeds for seeds in self.planned if seeds > self.seeds)

    def config_level(self, alpha: float) -> float:
        """The level at this look of a test of the config verdict that may err with `alpha` in all."""
        return alpha * self.share

    def study_level(self, alpha: float, replicates: int) -> float:
        """The level at this look of a test of the optimizer verdict that may err with `alpha` in all."""
        if self.seeds < self.planned[0] or len(self.planned) == 1:
            return alpha
        return _study_level(alpha, replicates, self.planned)


@dataclass(frozen=True)
class ChampionLook(Look):
    """The progress of confirm by rules 2: every finalist has the first `planned[0]` seeds, a champion all.

    Before the champions have any, nothing is looked at later if the job ends: it has the whole level.
    """

    @property
    def first(self) -> int:
        """Fresh seeds of every finalist, which choose the champions."""
        return self.planned[0]

    @property
    def champions(self) -> int:
        """Fresh seeds that the champions have alone, so far."""
        return max(0, self.seeds - self.first)

    @property
    def share(self) -> float:
        return SHARES[len(self.planned) - 1][self.index - 1] if self.champions else 1.0

    def config_level(self, alpha: float) -> float:
        if not self.champions:
            return alpha
        if self.seeds not in self.planned:
            return alpha * self.share
        return level_at(alpha, self.index - 1, self.champions, SHARES[len(self.planned) - 1])

    def study_level(self, alpha: float, replicates: int) -> float:  # noqa: ARG002
        """The whole: the optimizer verdict is decided once, by the first stage."""
        return alpha


def first_stage(confirm_seeds: int) -> int:
    """Fresh seeds of every finalist by rules 2, of a job with so many for each of them on the average.

    They are a quarter, but at least 4 (by 4 a champion is chosen and the studies are judged) and at most 8;
    with fewer than six seeds in all, about half of them.
    """
    if confirm_seeds < FEWEST_STAGED:
        return (confirm_seeds + 1) // 2
    return min(max(4, confirm_seeds // 4), 8)


def champion_looks(confirm_seeds: int, arms: int, champions: int) -> tuple[int, ...]:
    """Seeds of the champions at each look: as many at the last one as the runs that the others save.

    There are three looks, after n, 2n and 4n seeds; two if a quarter is too few for a look, and one if a half
    is.
    """
    most = arms * (confirm_seeds - first_stage(confirm_seeds)) // champions
    quarter = most // 4
    if quarter >= FEWEST_LOOKED_AT:
        return (quarter, 2 * quarter, 4 * quarter)
    return (most // 2, most) if most // 2 >= FEWEST_LOOKED_AT else (most,)


def planned_looks(spec: ResolvedSpec, finalists: int | None = None) -> tuple[int, ...]:
    """Fresh seeds after each stage of confirm, with so many finalists.

    Before these are known, it is as if the default and the choices of all studies were different configs.
    """
    seeds = spec.budget.confirm_seeds
    if spec.rules < 2:
        return looks(seeds)
    count = len(spec.labels) * (spec.budget.replicates + 1) if finalists is None else finalists
    return stages(seeds, count, _champions(spec, count))


def stages(confirm_seeds: int, arms: int, champions: int) -> tuple[int, ...]:
    """Fresh seeds after each stage of confirm by rules 2: the first, and those of the champions' looks."""
    first = first_stage(confirm_seeds)
    later = champion_looks(confirm_seeds, arms, champions)
    # Too few for a test: then every finalist has all seeds, and all are tested.
    return (first, *(first + more for more in later)) if later[-1] >= FEWEST_CHAMPIONS else (confirm_seeds,)


def most_runs(spec: ResolvedSpec, finalists: int) -> int:
    """The runs of confirm if every stage is run: of finalists, champions and today's config."""
    planned = planned_looks(spec, finalists)
    if spec.rules < 2:
        return finalists * planned[-1]
    todays = 0 if spec.today is None else planned[-1]
    return finalists * planned[0] + _champions(spec, finalists) * (planned[-1] - planned[0]) + todays


def later_seeds(spec: ResolvedSpec, confirm_seeds: int) -> int:
    """How many of so many fresh seeds come after the first stage, as runs of every finalist."""
    return confirm_seeds - (first_stage(confirm_seeds) if spec.rules > 1 else looks(confirm_seeds)[0])


def _champions(spec: ResolvedSpec, finalists: int) -> int:
    """The arms of the later stages by rules 2: an only optimizer's champion meets its default."""
    return len(spec.labels) if len(spec.labels) > 1 else min(2, finalists)


def look_of(spec: ResolvedSpec, seeds: int, finalists: int) -> Look:
    """The look at `seeds` fresh seeds of the spec's, with so many finalists."""
    planned = planned_looks(spec, finalists)
    return Look(planned, seeds) if spec.rules < 2 else ChampionLook(planned, seeds)


@lru_cache(maxsize=1024)
def _study_level(alpha: float, replicates: int, planned: tuple[int, ...]) -> float:
    """The largest level a <= alpha at which both ends of the module's docstring keep `alpha`: by bisection.

    Both are increasing in a, and alpha / (number of looks) satisfies the second, so it is where we start.
    """
    from scipy.special import stdtr, stdtrit

    def kept(level: float) -> bool:
        critical = [-float(stdtrit(min(replicates, seeds) - 1, level)) for seeds in planned]
        by_studies = float(stdtr(replicates - 1, -min(critical)))
        by_seeds = sum(float(stdtr(seeds - 1, -c)) for seeds, c in zip(planned, critical, strict=True))
        return by_studies <= alpha * (1 + 1e-9) and by_seeds <= alpha * (1 + 1e-9)

    low, high = 0.0, alpha
    if kept(high):
        return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low
