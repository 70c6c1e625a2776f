"""A against A on a person's own function: one optimizer under two names, so every optimizer winner is false.

    python -m benchmarks.guests.aa [--jobs N] [--whole N] [--keep FILE] [--json FILE]

Each job trains from scratch: AdamW twice, 3 studies of 4 trials each, and up to 10 fresh seeds for the
finalists, by the product's planner, executor and verdict. The first ones also go through `whichopt.tune`,
with its database and its report, and must be concluded alike. Two configs of one optimizer may truly differ;
so a named config counts as false if another finalist is better on 20 further seeds, whose means have errors,
too.
The command fails if the optimizer verdict errs too often: its rate above 6.5%, or its lower bound above 5%.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from benchmarks.guests.aa_job import AAJob, concluding
from benchmarks.shared.machine import environment
from benchmarks.shared.processes import PROCESSES
from benchmarks.shared.rates import LOWER, MOST, clopper_pearson
from benchmarks.shared.trainers import trainers

JOBS, WHOLE = 300, 30


@dataclass(frozen=True)
class Count:
    """The jobs in which a verdict did something, with its bounds at 95% (Clopper and Pearson's)."""

    what: str
    jobs: int
    of: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        return self.jobs / self.of

    @property
    def meets(self) -> bool:
        """Tell if a verdict that is always false was given seldom enough."""
        return self.rate <= MOST and self.low <= LOWER


def conclude(jobs: int, whole: int, keep: Path | None = None) -> list[AAJob]:
    """Conclude so many jobs, the first `whole` of them by `whichopt.tune` as well.

    What `keep` has of them is not concluded again; each of the others is added to it.
    """
    lines = keep.read_text().splitlines() if keep is not None and keep.exists() else []
    known = {job.seed: job for job in (AAJob(**json.loads(line)) for line in lines) if job.seed < jobs}

    def hear(_number: int, job: AAJob) -> None:
        known[job.seed] = job
        if keep is not None:
            with keep.open("a") as file:
                file.write(json.dumps(asdict(job)) + "\n")
        print(f"  {len(known)}/{jobs} jobs", end="\r", file=sys.stderr, flush=True)

    if left := [(seed, seed < whole) for seed in range(jobs) if seed not in known]:
        with trainers(PROCESSES, concluding) as crew:
            crew.map(left, hear)
    return [known[seed] for seed in range(jobs)]


def counts(jobs: Sequence[AAJob]) -> list[Count]:
    """Return how often each verdict named somebody; the first is the one that is bounded."""
    asked = {
        "optimizer verdict: a winner, which is false": [job.optimizer_winner is not None for job in jobs],
        "config verdict: a winner": [job.config_winner is not None for job in jobs],
        "config verdict: a winner that is worse on further seeds": [
            job.config_is_worse is True for job in jobs
        ],
    }
    return [
        Count(what, sum(named), len(jobs), *clopper_pearson(sum(named), len(jobs)))
        for what, named in asked.items()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guests.aa", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--whole", type=int, default=WHOLE, help="jobs that go through `tune`, too")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep each job there, and go on from there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args(argv)
    began = time.perf_counter()
    jobs = conclude(given.jobs, given.whole, given.keep)
    seconds = time.perf_counter() - began
    rows = counts(jobs)
    table = Table(title=f"AdamW against itself, {len(jobs)} jobs of a person's own function")
    for heading in ("", "jobs", "share", "95% bounds"):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        table.add_row(row.what, str(row.jobs), f"{row.rate:.1%}", f"{row.low:.1%} to {row.high:.1%}")
    console = Console()
    console.print(table)
    whole, trials = sum(job.by_tune for job in jobs), fmean(job.trials for job in jobs)
    console.print(
        f"{whole} of the jobs also went through whichopt.tune, with the same answer; {trials:.0f} trials and "
        f"{fmean(job.fresh_seeds for job in jobs):.1f} fresh seeds a job; {seconds:.0f} s with {PROCESSES} "
        f"processes, load {os.getloadavg()[0]:.1f}"
    )
    if not rows[0].meets:
        console.print(f"TOO OFTEN: at most {MOST:.1%} are allowed, and a lower bound of {LOWER:.0%}")
    if given.json:
        document = {
            "counts": [asdict(row) for row in rows],
            "required": {"most": MOST, "lower_bound": LOWER, "met": rows[0].meets},
            "jobs": [asdict(job) for job in jobs],
            "seconds": seconds,
            "environment": environment(),
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if rows[0].meets else 1


if __name__ == "__main__":
    sys.exit(main())
