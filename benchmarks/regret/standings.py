"""How the policies of `benchmarks.regret` stand: ranks, their means, and how far whichopt is behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from benchmarks.regret.policies import OTHERS
from benchmarks.regret.runs import OURS, POLICIES, Run

DRAWS = 4000


@dataclass(frozen=True)
class PolicyRank:
    """A policy's mean rank over problems and repetitions, 1 the best, with a 95% bootstrap interval; and how
    often it was the best of all."""

    policy: str
    rank: float
    low: float
    high: float
    firsts: float


def ranks(losses: Sequence[float]) -> list[float]:
    """1 for the least; equal losses share the mean of their places."""
    return [
        1 + sum(other < loss for other in losses) + (sum(other == loss for other in losses) - 1) / 2
        for loss in losses
    ]


def table_of_ranks(runs: Sequence[Run], policies: Sequence[str]) -> dict[str, list[list[float]]]:
    """By problem, a row of ranks for each repetition that has all policies."""
    ranks_of: dict[str, list[list[float]]] = {}
    for problem, repeat in dict.fromkeys((run.problem, run.repeat) for run in runs):
        losses = {run.policy: run.loss for run in runs if (run.problem, run.repeat) == (problem, repeat)}
        if set(policies) <= set(losses):
            ranks_of.setdefault(problem, []).append(ranks([losses[policy] for policy in policies]))
    return ranks_of


def standings(runs: Sequence[Run], policies: Sequence[str]) -> list[PolicyRank]:
    """A problem counts the same whatever its repetitions; the bootstrap draws problems, then repetitions."""
    ranks_of_problems = [np.asarray(rows) for rows in table_of_ranks(runs, policies).values()]
    random = np.random.default_rng(20_260_101)
    draws = np.empty((DRAWS, len(policies)))
    for draw in range(DRAWS):
        chosen = [
            ranks_of_problems[i] for i in random.integers(len(ranks_of_problems), size=len(ranks_of_problems))
        ]
        resampled = [rows[random.integers(len(rows), size=len(rows))].mean(axis=0) for rows in chosen]
        draws[draw] = np.mean(resampled, axis=0)
    means = np.mean([rows.mean(axis=0) for rows in ranks_of_problems], axis=0)
    firsts = np.mean([(rows == 1).mean(axis=0) for rows in ranks_of_problems], axis=0)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return [
        PolicyRank(policy, *(float(of[i]) for of in (means, low, high, firsts)))
        for i, policy in enumerate(policies)
    ]


def behind(runs: Sequence[Run], problem: str) -> float:
    """By how many percent of the value whichopt is worse than the best of the others' means on that problem;
    below zero where it is better."""
    means = {policy: fmean(losses_of(runs, problem, policy)) for policy in POLICIES}
    best = min(means[policy] for policy in OTHERS)
    return 100 * (means[OURS] - best) / abs(best)


def losses_of(runs: Sequence[Run], problem: str, policy: str) -> list[float]:
    """That policy's losses on that problem."""
    return [run.loss for run in runs if (run.problem, run.policy) == (problem, policy)]


def met(by_policy: Sequence[PolicyRank]) -> bool:
    ours, *others = by_policy
    return ours.rank <= min(other.rank for other in others)
