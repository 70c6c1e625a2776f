"""Do the verdicts keep their promises? Jobs whose truth is known, judged by the product's own functions.

    python -m benchmarks.calibration [--quick | --jobs N] [--rules 1 | --today | --plan] [--json FILE]
        [--plot FILE]

Prints one row a scenario, and then what must hold; exits with 1 where something does not, and says what.
With --plan only the scenarios are judged whose chances `whichopt plan` predicts.
`worlds` draws the jobs, `run` judges them, `scenarios` lists them; `today` asks whether to keep a config.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.calibration.chance import Chances, chances, together
from benchmarks.calibration.planned import WORLDS, off, prediction_table, predictions
from benchmarks.calibration.plots import plot
from benchmarks.calibration.run import Tally, run
from benchmarks.calibration.scenarios import CLEAR, LEADS, LIMITS, PRIOR, TIES
from benchmarks.calibration.today import (
    TODAYS_WORLDS,
    TodayTally,
    run_today,
    todays_table,
    todays_unmet,
)
from whichopt.service.versions import RULES

JOBS, QUICK_JOBS = 1000, 20
PARTS = 4
"""A scenario's jobs are judged in so many parts, each with a seed of its own."""

SEED = 20_260
MOST_FALSE, MOST_FALSE_POINT = 0.05, 0.065
LEAST_COVERED = 0.93
MOST_RUNS = 0.60
MOST_MISSTATED = 0.05

POWERS = {
    ("staged optimizer true", "lead 1 sd, strong pairing"): 0.40,
    ("staged optimizer true", "lead 2 sd, strong pairing"): 0.95,
    ("staged config true", "lead 0.5 sd, strong pairing"): 0.55,
    ("staged config true", "lead 1 sd, weak pairing"): 0.35,
}
"""The least share of jobs of a world in which the right winner is named, by rules 2."""

ERRORS = tuple(
    f"{kind} {question} false"
    for kind in ("fixed", "staged", "any look")
    for question in ("config", "optimizer")
)
COVERED = tuple(
    f"{kind} {question} covered" for kind in ("fixed", "staged") for question in ("config", "optimizer")
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"a scenario; {JOBS} where not given")
    parser.add_argument("--rules", type=int, choices=(1, 2), default=RULES, help="by which jobs are judged")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_JOBS} jobs a scenario")
    parser.add_argument("--plan", action="store_true", help="only hold the chances of plans against counts")
    parser.add_argument("--today", action="store_true", help="keep or switch alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all counts there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the picture there")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    started = time.perf_counter()
    jobs = QUICK_JOBS if chosen.quick else chosen.jobs
    if chosen.plan:
        return _plan(jobs, chosen.processes, quick=chosen.quick)
    tallies, stated = ([], {}) if chosen.today else simulate(jobs, chosen.processes, chosen.rules)
    if not chosen.today:
        print(f"{table(tallies)}\n\n{chance_table(stated)}")
    planned = predictions(tallies) if chosen.rules == RULES else []
    todays = simulate_today(jobs, chosen.processes) if chosen.rules > 1 else []
    for rows in [prediction_table(planned)] * bool(planned) + [todays_table(todays)] * bool(todays):
        print(f"\n{rows}")
    failures = gross(tallies) if chosen.quick else [*unmet(tallies, stated, chosen.rules), *off(planned)]
    if not chosen.quick:
        failures += todays_unmet(todays, most_point=MOST_FALSE_POINT, least_covered=LEAST_COVERED)
    count = sum(t.jobs for t in tallies) + sum(t.jobs for t in todays)
    print(f"\n{count:,} jobs in {time.perf_counter() - started:.0f} s")
    if chosen.json:
        found = record(tallies, stated, failures, chosen.rules) | {"today": recorded_today(todays)}
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    if chosen.plot and not chosen.today:
        plot(tallies, stated, chosen.plot)
    for failure in failures:
        print(f"NOT MET: {failure}")
    if not failures:
        print("No gross failure." if chosen.quick else "All figures are met.")
    return 1 if failures else 0


def _plan(jobs: int, processes: int, *, quick: bool) -> int:
    """Hold the chances of plans against the counts of as many jobs; return the exit code."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = {
            world.name: [pool.submit(run, world, jobs // PARTS, SEED + part) for part in range(PARTS)]
            for world in WORLDS
        }
        found = predictions([Tally.merged([one.result() for one in futures]) for futures in parts.values()])
    print(prediction_table(found))
    failures = [] if quick else off(found)
    for failure in failures:
        print(f"NOT MET: {failure}")
    return 1 if failures else 0


def simulate(jobs: int, processes: int, rules: int) -> tuple[list[Tally], dict[str, Chances]]:
    """`jobs` of each scenario, and as many of all worlds of the prior together."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = {
            world.name: [pool.submit(run, world, jobs // PARTS, SEED + part, rules) for part in range(PARTS)]
            for world in (*TIES, *LEADS, *LIMITS)
        }
        prior = [pool.submit(chances, world, max(2, jobs // len(PRIOR)), SEED, rules) for world in PRIOR]
        tallies = [Tally.merged([future.result() for future in futures]) for futures in parts.values()]
        return tallies, together([future.result() for future in prior])


def simulate_today(jobs: int, processes: int) -> list[TodayTally]:
    """`jobs` of each scenario of keep or switch."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = [
            [pool.submit(run_today, world, jobs // PARTS, SEED + part) for part in range(PARTS)]
            for world in TODAYS_WORLDS
        ]
        return [TodayTally.merged([future.result() for future in futures]) for futures in parts]


def recorded_today(tallies: Sequence[TodayTally]) -> list[dict[str, Any]]:
    return [
        {
            "scenario": tally.world.name,
            "world": asdict(tally.world.world),
            "lead": tally.world.lead,
            "jobs": tally.jobs,
            "runs": tally.runs,
            "counts": dict(sorted(tally.counts.items())),
        }
        for tally in tallies
    ]


def gross(tallies: Sequence[Tally]) -> list[str]:
    """What few jobs can tell: false winners that more than one in a thousand such runs would not show."""
    return [
        f"{tally.world.name}: {event} in {tally.share(event):.3f} of the jobs"
        for tally in tallies
        for event in ERRORS
        if tally.lower_bound(event, 0.001) > MOST_FALSE
    ]


def unmet(tallies: Sequence[Tally], stated: dict[str, Chances], rules: int = RULES) -> list[str]:
    """What does not hold, in words; nothing is promised of worlds beyond the limits."""
    failures = []
    for tally in (tally for tally in tallies if tally.world not in LIMITS):
        name = tally.world.name
        for (event, world), least_power in POWERS.items() if rules > 1 else ():
            if world == name and tally.share(event) < least_power:
                failures.append(f"{name}: {event} in {tally.share(event):.3f} of the jobs")
        for event in ERRORS:
            share, least = tally.share(event), tally.lower_bound(event)
            if least > MOST_FALSE or share > MOST_FALSE_POINT:
                failures.append(f"{name}: {event} in {share:.3f} of the jobs (lower bound {least:.3f})")
        failures += [
            f"{name}: {event} in {tally.share(event):.3f} of the jobs"
            for event in (COVERED if tally.world.symmetric else ())
            if tally.asked(event) and tally.share(event) < LEAST_COVERED
        ]
        if name in CLEAR and tally.run_share > MOST_RUNS:
            failures.append(f"{name}: staged used {tally.run_share:.2f} of the runs")
    for question, stated_chances in stated.items():
        if stated_chances.error > MOST_MISSTATED or stated_chances.brier >= stated_chances.constant_brier:
            failures.append(
                f"probability of being best ({question}): off by {stated_chances.error:.3f}, Brier score "
                f"{stated_chances.brier:.3f} (constant {stated_chances.constant_brier:.3f})"
            )
    return failures


def table(tallies: Sequence[Tally]) -> str:
    """One row a scenario; shares of jobs, in percent. Three numbers are fixed / staged / at any look, two are
    fixed / staged. By rules 1 `fixed` is one look with all seeds, by rules 2 the first stage alone."""
    head = (
        f"{'':38} {'':>6} {'false winner':^27} {'covered':^19} {'right winner':^27} {'runs':>5} "
        f"{'best trial':>10} {'plain t-tests':>14} {'skew':>6}\n"
        f"{'scenario':38} {'K x S':>6} {'config':^13} {'optimizer':^13} {'config':^9} {'optimizer':^9} "
        f"{'config':^13} {'optimizer':^13} {'used':>5} {'false':>10} {'false':>7}{'right':>7} {'warned':>6}"
    )
    return "\n".join([head, *map(_row, tallies)])


def _row(tally: Tally) -> str:
    def three(event: str, *kinds: str) -> str:
        events = [f"{kind} {event}" for kind in kinds]
        return "/".join(f"{100 * tally.share(e):.1f}" if tally.asked(e) else "-" for e in events)

    world = tally.world
    both, every = ("fixed", "staged"), ("fixed", "staged", "any look")
    return (
        f"{world.name:38} {f'{world.optimizers}x{world.seeds}':>6} "
        f"{three('config false', *every):^13} {three('optimizer false', *every):^13} "
        f"{three('config covered', *both):^9} {three('optimizer covered', *both):^9} "
        f"{three('config true', *both):^13} {three('optimizer true', *both):^13} "
        f"{100 * tally.run_share:>5.0f} {100 * tally.share('naive false'):>10.1f} "
        f"{100 * tally.share('plain config false'):>7.1f}{100 * tally.share('plain config true'):>7.1f} "
        f"{100 * tally.share('skew warned'):>6.1f}"
    )


def chance_table(stated: dict[str, Chances]) -> str:
    lines = []
    for question, stated_chances in stated.items():
        lines.append(
            f"probability of being best ({question}): Brier score {stated_chances.brier:.4f}, of a constant "
            f"{stated_chances.constant_brier:.4f}; off by {stated_chances.error:.3f} on the average"
        )
        lines.append("  stated " + " ".join(f"{stated_:6.2f}" for stated_, _, _ in stated_chances.bins))
        lines.append("  came   " + " ".join(f"{came:6.2f}" for _, came, _ in stated_chances.bins))
        lines.append("  number " + " ".join(f"{count:6}" for _, _, count in stated_chances.bins))
    return "\n".join(lines)


def record(
    tallies: Sequence[Tally], stated: dict[str, Chances], failures: list[str], rules: int
) -> dict[str, Any]:
    return {
        "seed": SEED,
        "rules": rules,
        "scenarios": [
            {
                "world": asdict(tally.world),
                "jobs": tally.jobs,
                "run_share": tally.run_share,
                "counts": dict(sorted(tally.counts.items())),
            }
            for tally in tallies
        ],
        "probability_best": {
            question: {
                "brier": stated_chances.brier,
                "constant_brier": stated_chances.constant_brier,
                "error": stated_chances.error,
                "bins": stated_chances.bins,
            }
            for question, stated_chances in stated.items()
        },
        "not_met": failures,
    }


if __name__ == "__main__":
    sys.exit(main())
