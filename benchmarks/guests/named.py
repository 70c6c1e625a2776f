"""What a trial of a function that is given by its name costs: in a new process, or in a copy of a clean one.

    python -m benchmarks.guests.named [--trials N] [--json FILE]

Both rows take turns in one run, so the ratio counts, not the machine. The first copy waits for its template,
which loads torch once; that is shown apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from benchmarks.guests.overhead import plan
from benchmarks.shared.machine import environment
from whichopt.service.goal import Goal
from whichopt.service.states import Direction
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests import template
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest

NAME = "benchmarks.guests.plain:nothing"


def seconds_of_a_trial(executor: GuestExecutor, trials: int) -> float:
    """Return the seconds of a trial that only reports, of so many in one cohort."""
    goal = Goal(metrics=("loss",), direction=Direction.MINIMIZE)
    began = perf_counter()
    executor.run(Guest(NAME, goal), [plan(seed, 1) for seed in range(trials)], Unwatched())
    return (perf_counter() - began) / trials


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not template.can_be_used():
        raise SystemExit("named functions are always new processes here: it is no Linux, or it has a GPU")
    copies, new = GuestExecutor(), GuestExecutor(copies=False)
    first = seconds_of_a_trial(copies, 1)
    rows: dict[str, list[float]] = {"new": [], "copies": []}
    for _ in range(max(1, given.trials // 4)):
        rows["new"].append(seconds_of_a_trial(new, 1))
        rows["copies"].append(seconds_of_a_trial(copies, 4))
    copies.end()
    median = {name: 1000 * statistics.median(row) for name, row in rows.items()}
    table = Table("row", "ms a trial", title="a trial that only reports, in turns")
    table.add_row("a new process", f"{median['new']:.1f}")
    table.add_row("the first copy, which waits for its template", f"{1000 * first:.1f}")
    table.add_row("a copy of the template", f"{median['copies']:.1f}")
    console = Console()
    console.print(table)
    console.print(f"a new process takes {median['new'] / median['copies']:.1f} times as long as a copy")
    if given.json:
        told = {**median, "first_ms": 1000 * first, "trials": given.trials, "environment": environment()}
        given.json.write_text(json.dumps(told, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
