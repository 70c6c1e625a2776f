"""The point of it all: at equal seconds, is what whichopt picks as good as what people do with Optuna?

    python -m benchmarks.regret [--quick] [--minutes M] [--runs FILE] [--json FILE] [--plot FILE]

Six workloads, several repetitions, four policies (`regret_policies`), each with the same seconds on two
processes: whichopt is given minutes and the others what it took by the clock, confirm and planning counted.
Every pick is then trained again on further fresh seeds, the same for all, and judged on examples that no
policy has seen (`regret_problems`). A policy's **rank** is its place among the four on a workload in a
repetition. The command fails where whichopt's mean rank is worse than the best of the others'.

`--runs` keeps what each repetition gave, so that an interrupted run goes on, and more can be added.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.cohort import environment
from benchmarks.regret_policies import OTHERS, Pick, other, whichopt
from benchmarks.regret_problems import PROBLEMS, SIDES, Cohort, Problem, Single, desk, like
from benchmarks.trainers import Crew, trainers
from whichopt.service.errors import BudgetTooShort
from whichopt.service.seeds import derive, trial_seeds
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import TrialPlan

PROCESSES = 2
OURS, BY_MEAN = "whichopt", "whichopt, by the best mean"
POLICIES = (OURS, *OTHERS)
REPEATS, MINUTES, QUICK_MINUTES = 3, 11.0, 0.55
TIMED_SHARE = 0.85
"""Of the minutes; the rest is for judging and starting."""

JUDGED_SEEDS, QUICK_SEEDS = 20, 6
DRAWS = 4000


@dataclass(frozen=True)
class Run:
    """A policy on a problem in a repetition: the pick, and its mean value on the examples set aside."""

    problem: str
    repeat: int
    policy: str
    optimizer: str
    config: dict[str, Any]
    loss: float
    value: float
    diverged: int
    trials: int
    seconds: float
    details: dict[str, Any]


def repetition(crew: Crew, problem: Problem, repeat: int, seconds: float, seeds: int) -> list[Run]:
    """All policies, the product first as its seconds are the others'."""
    seed = derive(0, "regret", problem.name, repeat)
    spec, aside = problem.spec(seconds, seed), derive(1, problem.name, repeat)
    _warm_up(crew, spec, aside)
    try:
        ours, by_mean = whichopt(crew, spec, aside)
    except BudgetTooShort as error:  # others use the machine, or it is a slow one: more seconds, for all
        print(f"{problem.name} {repeat}: {error.detail}; twice the time", file=sys.stderr, flush=True)
        return repetition(crew, problem, repeat, 2 * seconds, seeds)
    picks = {OURS: ours, BY_MEAN: by_mean}
    for name, make in OTHERS.items():
        picks[name] = other(crew, make(spec), spec, aside, ours.seconds)
    return list(_judged(crew, problem, repeat, spec, aside, picks, seeds))


def _warm_up(crew: Crew, spec: ResolvedSpec, aside: int) -> None:
    """Every process trains a little of everything, so that whatever is made once is made."""
    name = spec.workload.model_dump_json()
    base = like(spec, trial_seeds(spec.seed, "warm-up", 0))
    size = base.training.batch_size
    short = base.model_copy(update={"length": 4 * size, "evaluations": (4 * size,)})
    plans = [
        short.model_copy(update={"label": o.label, "optimizer": o.name, "config": o.default})
        for o in spec.optimizers
    ]
    singles = [Single(name, aside, short, plan.optimizer, plan.config) for plan in plans]
    crew.everyone([*(Cohort(name, aside, on, plans) for on in SIDES), *singles])


def _judged(
    crew: Crew,
    problem: Problem,
    repeat: int,
    spec: ResolvedSpec,
    aside: int,
    picks: Mapping[str, Pick],
    seeds: int,
) -> Iterator[Run]:
    """The picks on the same fresh seeds."""
    plans: list[TrialPlan] = []
    for number in range(seeds):
        base = like(spec, trial_seeds(spec.seed, "judge", number))
        for name, pick in picks.items():
            told = {"label": name, "optimizer": pick.optimizer, "config": pick.config, "phase": Phase.CONFIRM}
            plans.append(base.model_copy(update={**told, "number": number}))
    name = spec.workload.model_dump_json()
    parts = [Cohort(name, aside, "judge", plans[i::PROCESSES]) for i in range(PROCESSES)]
    values: dict[str, list[float]] = {policy: [] for policy in picks}
    diverged = dict.fromkeys(picks, 0)

    def keep(number: int, results: list[Any]) -> None:
        for plan, result in zip(parts[number].plans, results, strict=True):
            diverged[plan.label] += result.value is None
            found = result.reference[spec.goal.metric] if result.value is None else result.value
            values[plan.label].append(found)

    crew.map(parts, keep)
    for policy, pick in picks.items():
        value = math.fsum(values[policy]) / seeds
        yield Run(
            problem=problem.name,
            repeat=repeat,
            policy=policy,
            optimizer=pick.optimizer,
            config=pick.config,
            loss=spec.goal.sign * value,
            value=value,
            diverged=diverged[policy],
            trials=pick.trials,
            seconds=pick.seconds,
            details=pick.details,
        )


# -- ranks ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """A policy's mean rank over problems and repetitions, 1 the best, with a 95 % bootstrap interval; and how
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
    found: dict[str, list[list[float]]] = {}
    for problem, repeat in dict.fromkeys((run.problem, run.repeat) for run in runs):
        losses = {run.policy: run.loss for run in runs if (run.problem, run.repeat) == (problem, repeat)}
        if set(policies) <= set(losses):
            found.setdefault(problem, []).append(ranks([losses[policy] for policy in policies]))
    return found


def standings(runs: Sequence[Run], policies: Sequence[str]) -> list[Standing]:
    """A problem counts the same whatever its repetitions; the bootstrap draws problems, then repetitions."""
    found = [np.asarray(rows) for rows in table_of_ranks(runs, policies).values()]
    random = np.random.default_rng(20_260_101)
    draws = np.empty((DRAWS, len(policies)))
    for draw in range(DRAWS):
        chosen = [found[i] for i in random.integers(len(found), size=len(found))]
        drawn = [rows[random.integers(len(rows), size=len(rows))].mean(axis=0) for rows in chosen]
        draws[draw] = np.mean(drawn, axis=0)
    means = np.mean([rows.mean(axis=0) for rows in found], axis=0)
    firsts = np.mean([(rows == 1).mean(axis=0) for rows in found], axis=0)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return [
        Standing(policy, *(float(of[i]) for of in (means, low, high, firsts)))
        for i, policy in enumerate(policies)
    ]


def behind(runs: Sequence[Run], problem: str) -> float:
    """By how many percent of the value whichopt is worse than the best of the others' means on that problem;
    below zero where it is better."""
    means = {policy: fmean(own(runs, problem, policy)) for policy in POLICIES}
    best = min(means[policy] for policy in OTHERS)
    return 100 * (means[OURS] - best) / abs(best)


def own(runs: Sequence[Run], problem: str, policy: str) -> list[float]:
    """That policy's losses on that problem."""
    return [run.loss for run in runs if (run.problem, run.policy) == (problem, policy)]


def met(found: Sequence[Standing]) -> bool:
    ours, *others = found
    return ours.rank <= min(other.rank for other in others)


# -- what is shown -------------------------------------------------------------------------------------


def table(runs: Sequence[Run], found: Sequence[Standing]) -> Table:
    problems = list(dict.fromkeys(run.problem for run in runs))
    repeats = len({run.repeat for run in runs})
    seconds = fmean(run.seconds for run in runs)
    drawn = Table(
        title=f"Value on examples that no policy saw (nll or rmse, lower is better), mean of {repeats} "
        f"repetitions; {seconds:.1f} s each on {PROCESSES} processes"
    )
    drawn.add_column("workload", no_wrap=True)
    for policy in POLICIES:
        drawn.add_column(policy, justify="right", no_wrap=True)
    drawn.add_column("whichopt against the\nbest of the others", justify="right", no_wrap=True)
    by_problem = table_of_ranks(runs, POLICIES)
    for problem in problems:
        mean_ranks = np.mean(by_problem[problem], axis=0)
        cells = [
            f"{fmean(own(runs, problem, policy)):.4f}  (rank {rank:.2f})"
            for policy, rank in zip(POLICIES, mean_ranks, strict=True)
        ]
        percent = behind(runs, problem)
        said = "LOSS" if percent > 0 else "win" if percent < 0 else "equal"
        drawn.add_row(problem, *cells, f"{said}, {abs(percent):.1f} %", end_section=problem == problems[-1])
    drawn.add_row(
        "mean rank",
        *(f"{one.rank:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in found),
        "met" if met(found) else "NOT MET",
    )
    drawn.add_row("best of all in", *(f"{one.firsts:.0%}" for one in found), "")
    drawn.add_row(
        "trials",
        *(f"{fmean(run.trials for run in runs if run.policy == policy):.0f}" for policy in POLICIES),
        "",
    )
    return drawn


def main(argv: Sequence[str] | None = None) -> int:
    given = _options(argv)
    problems = [PROBLEMS[0], PROBLEMS[-1]] if given.quick else list(PROBLEMS)
    repeats = given.repeats or (1 if given.quick else REPEATS)
    minutes = given.minutes or (QUICK_MINUTES if given.quick else MINUTES)
    seconds = 60 * minutes * TIMED_SHARE / (len(problems) * repeats * len(POLICIES))
    runs = _kept(given.runs)
    started = time.perf_counter()
    with trainers(PROCESSES, desk) as crew:
        for repeat in range(repeats):
            for problem in problems:
                if any((run.problem, run.repeat) == (problem.name, repeat) for run in runs):
                    continue
                made = repetition(
                    crew, problem, repeat, seconds, QUICK_SEEDS if given.quick else JUDGED_SEEDS
                )
                runs += made
                told = ", ".join(f"{run.policy} {run.value:.4f} ({run.trials})" for run in made)
                print(
                    f"{problem.name} {repeat}: {made[0].seconds:.1f} s; {told}", file=sys.stderr, flush=True
                )
                if given.runs:
                    with given.runs.open("a") as file:
                        file.writelines(json.dumps(asdict(run)) + "\n" for run in made)
    took = time.perf_counter() - started
    found = standings(runs, POLICIES)
    by_mean = standings(runs, (BY_MEAN, *OTHERS))
    console = Console(width=max(160, Console().width))
    console.print(table(runs, found))
    console.print(
        "for the record, not a policy: if whichopt took the finalist with the best mean in a tie too, its "
        f"mean rank were {by_mean[0].rank:.2f} [{by_mean[0].low:.2f}, {by_mean[0].high:.2f}], the others' "
        + ", ".join(f"{one.rank:.2f}" for one in by_mean[1:])
    )
    if given.json:
        document = {
            "standings": [asdict(one) for one in found],
            "standings_by_mean": [asdict(one) for one in by_mean],
            "percent_behind": {
                name: behind(runs, name) for name in dict.fromkeys(run.problem for run in runs)
            },
            "met": met(found),
            "seconds_asked": seconds,
            "took_seconds": took,
            "runs": [asdict(run) for run in runs],
            "problems": [asdict(problem) for problem in problems],
            "environment": environment(),
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    if given.plot:
        from benchmarks.regret_plots import picture

        picture(runs, found, given.plot)
    return 0 if met(found) else 1


def _kept(file: Path | None) -> list[Run]:
    if file is None or not file.exists():
        return []
    return [Run(**json.loads(line)) for line in file.read_text().splitlines()]


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two workloads once, in a minute")
    parser.add_argument("--minutes", type=float, help=f"for all of it, in place of {MINUTES:g}")
    parser.add_argument("--repeats", type=int, help=f"of every workload, in place of {REPEATS}")
    parser.add_argument("--runs", type=Path, metavar="FILE", help="keep each repetition there, and go on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the losses and ranks there")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
