"""How often each rule named a winner where there is none, and how sure that is.

Two bounds stand beside each rate. The first is Clopper and Pearson's (1934, Biometrika 26: 404-413) over the
drawn jobs: how exactly this pool's rate is known. But jobs from one pool share studies and seeds, so they are
not independent looks at the world; the second bound takes the pool for what it is, a sample of groups of
studies and of fresh seeds. The rate is a U-statistic over both, of degree R in the groups and S in the seeds,
and a bootstrap that draws studies with replacement would pit a study against itself, an exact tie that names
nobody. So its variance is the jackknife's, by leaving out one group or one seed (Arvesen 1969, Annals of
Mathematical Statistics 40: 2076-2100): the rate without it is that of the jobs that did not draw it, and the
noise of a finite number of jobs is taken off (Wager, Hastie and Efron 2014, JMLR 15: 1625-1651). Groups are
independent; the studies inside of one, which share their search seeds, are left out together. The two
variances are added (Owen 2007, Annals of Applied Statistics 1: 386-411), and the bound is Clopper and
Pearson's at the number of independent jobs that would have that variance (Korn and Graubard 1998, Survey
Methodology 24: 193-201).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.aa.jobs import (
    Conclusion,
    JobSample,
    as_trials,
    conclude,
    confirm_table,
    simulate_jobs,
    spec_of,
)
from benchmarks.aa.pool import Pool, load
from benchmarks.aa.rules import RULES, Entrants
from benchmarks.shared.rates import clopper_pearson
from whichopt.service.evidence.verdict.recommend import recommend

OPTIMIZER, OPTIMIZER_FIXED = "whichopt, optimizer verdict", "whichopt, the same after one stage"
CONFIG, CONFIG_WRONG = "whichopt, config verdict", "whichopt, config verdict: a worse one"
METHODS = (OPTIMIZER, OPTIMIZER_FIXED, *RULES, CONFIG, CONFIG_WRONG)


@dataclass(frozen=True)
class Cell:
    """Jobs of one kind: pool by number, names, replicates, seeds."""

    pool: int
    names: int
    replicates: int
    seeds: int


@dataclass(frozen=True)
class Part:
    """Some of a cell's jobs, drawn by `seed`; the first `checked` are also concluded by `recommend`."""

    cell: Cell
    jobs: int
    seed: int
    checked: int


class Judged(NamedTuple):
    """By job: what was drawn, whether each of METHODS named a (false) winner, the seeds that confirm took."""

    groups: list[tuple[int, ...]]
    drawn_seeds: list[tuple[int, ...]]
    named: list[tuple[bool, ...]]
    seeds: list[int]


def judge(file: str) -> Callable[[Part], Judged]:
    """In a process: judges jobs drawn from the pools of that file."""
    pools = load(Path(file))
    return lambda part: judged(pools[part.cell.pool], part)


def judged(pool: Pool, part: Part) -> Judged:
    cell = part.cell
    outcome = Judged([], [], [], [])
    jobs = simulate_jobs(pool, cell.names, cell.replicates, cell.seeds, part.jobs, part.seed)
    for number, sample in enumerate(jobs):
        staged = conclude(pool, sample, staged=True)
        if number < part.checked:
            check(pool, sample, staged)
        fixed = conclude(pool, sample, staged=False)
        entrants = Entrants(pool, sample.studies(pool), sample.seeds[: sample.confirm_seeds])
        outcome.groups.append(sample.groups)
        outcome.drawn_seeds.append(sample.seeds)
        outcome.seeds.append(staged.seeds)
        outcome.named.append(
            (
                staged.optimizer is not None,
                fixed.optimizer is not None,
                *(rule(entrants) is not None for rule in RULES.values()),
                staged.config is not None,
                staged.config is not None and worse(pool, sample, staged),
            )
        )
    return outcome


def check(pool: Pool, sample: JobSample, conclusion: Conclusion) -> None:
    """`recommend`, from the job's trials as the database has them, must conclude the same."""
    spec = spec_of(pool, sample)
    trials = [trial for trial in as_trials(pool, sample) if trial.plan.phase == "search"]
    trials += [
        trial
        for trial in as_trials(pool, sample)
        if trial.plan.phase == "confirm" and trial.plan.number < conclusion.seeds
    ]
    recommendation = recommend("a-against-a", spec, trials)
    config = spec.labels.index(recommendation.optimizer) if recommendation.verdict == "winner" else None
    named = recommendation.optimizer_verdict.optimizer
    optimizer = None if named is None else spec.labels.index(named)
    if (config, optimizer) != (conclusion.config, conclusion.optimizer):
        raise AssertionError(f"recommend says {config}, {optimizer}; the drawn job {conclusion}")


def worse(pool: Pool, sample: JobSample, conclusion: Conclusion) -> bool:
    """Whether a config of another name is better on the pool's other seeds than the one that was named.

    Those means have errors of their own, so of equal configs half would count as worse.
    """
    assert conclusion.arm is not None
    others = [seed for seed in range(pool.setting.fresh) if seed not in sample.seeds]
    arms = {arm.key[1] for arm in confirm_table(pool, sample, 1).arms} - {conclusion.arm}
    means = {
        config: fmean(pool.losses[config][seed] for seed in others) for config in (*arms, conclusion.arm)
    }
    return any(means[config] < means[conclusion.arm] for config in arms)


# -- rates ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """Of the jobs in which a method named a winner; bounds at 95%, over jobs and over pools.

    The bounds over pools are None where no job, or every job, named one: nothing tells their spread.
    """

    method: str
    rate: float
    low: float
    high: float
    pool_low: float | None
    pool_high: float | None


def rates(judged_jobs: Judged, groups: int, fresh: int) -> list[Rate]:
    named = np.asarray(judged_jobs.named, dtype=np.float64)
    units = [_membership(judged_jobs.groups, groups), _membership(judged_jobs.drawn_seeds, fresh)]
    return [_rate(method, named[:, i], units) for i, method in enumerate(METHODS)]


def _membership(units_of_jobs: Sequence[Iterable[int]], count: int) -> npt.NDArray[np.bool_]:
    membership = np.zeros((len(units_of_jobs), count), dtype=bool)
    for row, units in enumerate(units_of_jobs):
        membership[row, list(units)] = True
    return membership


def _rate(method: str, named: npt.NDArray[np.float64], units: Sequence[npt.NDArray[np.bool_]]) -> Rate:
    jobs, rate = len(named), float(named.mean())
    low, high = clopper_pearson(named.sum(), jobs)
    over_jobs = rate * (1 - rate) / jobs
    if over_jobs == 0:
        return Rate(method, rate, low, high, None, None)
    variance = over_jobs + sum(jackknife_variance(named, membership) for membership in units)
    independent = min(jobs, rate * (1 - rate) / variance)
    pool_low, pool_high = clopper_pearson(rate * independent, independent)
    return Rate(method, rate, low, high, pool_low, pool_high)


def jackknife_variance(named: npt.NDArray[np.float64], membership: npt.NDArray[np.bool_]) -> float:
    """Of the rate, over the units (columns) that a job (row) draws or not; at least 0."""
    jobs, units = membership.shape
    without = ~membership
    if not without.any(axis=0).all():
        return float("inf")  # a unit that is in every job
    rates = (without * named[:, None]).sum(axis=0) / without.sum(axis=0)
    raw = (units - 1) / units * float(((rates - rates.mean()) ** 2).sum())
    share = float(membership.mean())
    noise = (units - 1) * float(named.var()) / jobs * share / (1 - share)
    return float(max(0.0, raw - noise))
