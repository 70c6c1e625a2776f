"""The point of it all: at equal seconds, is what whichopt picks as good as what people do with Optuna?

    python -m benchmarks.regret [--quick] [--minutes M] [--runs FILE] [--json FILE] [--plot FILE]

Six workloads, several repetitions, four policies (`policies`), each with the same seconds on two
processes: whichopt is given minutes and the others what it took by the clock, confirm and planning counted.
Every pick is then trained again on further fresh seeds, the same for all, and judged on examples that no
policy has seen (`problems`). A policy's **rank** is its place among the four on a workload in a
repetition. The command fails where whichopt's mean rank is worse than the best of the others'.

`--runs` keeps what each repetition gave, so that an interrupted run goes on, and more can be added.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.regret.policies import OTHERS
from benchmarks.regret.problems import PROBLEMS, desk
from benchmarks.regret.runs import BY_MEAN, POLICIES, Run, repetition
from benchmarks.regret.standings import PolicyRank, behind, losses_of, met, standings, table_of_ranks
from benchmarks.shared.machine import environment
from benchmarks.shared.processes import PROCESSES
from benchmarks.shared.trainers import trainers

REPEATS, MINUTES, QUICK_MINUTES = 3, 11.0, 0.55
TIMED_SHARE = 0.85
"""Of the minutes; the rest is for judging and starting."""

JUDGED_SEEDS, QUICK_SEEDS = 20, 6


def ranks_table(runs: Sequence[Run], by_policy: Sequence[PolicyRank]) -> Table:
    problems = list(dict.fromkeys(run.problem for run in runs))
    repeats = len({run.repeat for run in runs})
    seconds = fmean(run.seconds for run in runs)
    table = Table(
        title=f"Value on examples that no policy saw (nll or rmse, lower is better), mean of {repeats} "
        f"repetitions; {seconds:.1f} s each on {PROCESSES} processes"
    )
    table.add_column("workload", no_wrap=True)
    for policy in POLICIES:
        table.add_column(policy, justify="right", no_wrap=True)
    table.add_column("whichopt against the\nbest of the others", justify="right", no_wrap=True)
    by_problem = table_of_ranks(runs, POLICIES)
    for problem in problems:
        mean_ranks = np.mean(by_problem[problem], axis=0)
        cells = [
            f"{fmean(losses_of(runs, problem, policy)):.4f}  (rank {rank:.2f})"
            for policy, rank in zip(POLICIES, mean_ranks, strict=True)
        ]
        percent = behind(runs, problem)
        outcome = "LOSS" if percent > 0 else "win" if percent < 0 else "equal"
        table.add_row(problem, *cells, f"{outcome}, {abs(percent):.1f}%", end_section=problem == problems[-1])
    table.add_row(
        "mean rank",
        *(f"{one.rank:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in by_policy),
        "met" if met(by_policy) else "NOT MET",
    )
    table.add_row("best of all in", *(f"{one.firsts:.0%}" for one in by_policy), "")
    table.add_row(
        "trials",
        *(f"{fmean(run.trials for run in runs if run.policy == policy):.0f}" for policy in POLICIES),
        "",
    )
    return table


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
                values = ", ".join(f"{run.policy} {run.value:.4f} ({run.trials})" for run in made)
                print(
                    f"{problem.name} {repeat}: {made[0].seconds:.1f} s; {values}", file=sys.stderr, flush=True
                )
                if given.runs:
                    with given.runs.open("a") as file:
                        file.writelines(json.dumps(asdict(run)) + "\n" for run in made)
    took = time.perf_counter() - started
    ranked = standings(runs, POLICIES)
    by_mean = standings(runs, (BY_MEAN, *OTHERS))
    console = Console(width=max(160, Console().width))
    console.print(ranks_table(runs, ranked))
    console.print(
        "for the record, not a policy: if whichopt took the finalist with the best mean in a tie too, its "
        f"mean rank were {by_mean[0].rank:.2f} [{by_mean[0].low:.2f}, {by_mean[0].high:.2f}], the others' "
        + ", ".join(f"{one.rank:.2f}" for one in by_mean[1:])
    )
    if given.json:
        document = {
            "standings": [asdict(one) for one in ranked],
            "standings_by_mean": [asdict(one) for one in by_mean],
            "percent_behind": {
                name: behind(runs, name) for name in dict.fromkeys(run.problem for run in runs)
            },
            "met": met(ranked),
            "seconds_asked": seconds,
            "took_seconds": took,
            "runs": [asdict(run) for run in runs],
            "problems": [asdict(problem) for problem in problems],
            "environment": environment(),
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    if given.plot:
        from benchmarks.regret.plots import picture

        picture(runs, ranked, given.plot)
    return 0 if met(ranked) else 1


def _kept(file: Path | None) -> list[Run]:
    if file is None or not file.exists():
        return []
    return [Run(**json.loads(line)) for line in file.read_text().splitlines()]


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.regret", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="two workloads once, in a minute")
    parser.add_argument("--minutes", type=float, help=f"for all of it, in place of {MINUTES:g}")
    parser.add_argument("--repeats", type=int, help=f"of every workload, in place of {REPEATS}")
    parser.add_argument("--runs", type=Path, metavar="FILE", help="keep each repetition there, and go on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the losses and ranks there")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
