"""A against A: one optimizer under several names, on real training. Every named optimizer winner is false.

    python -m benchmarks.aa [--quick] [--pool FILE] [--json FILE] [--plot FILE]

First the pools: for each of five workloads 120 real studies of one optimizer, and every config that one of
them chose on 48 common fresh seeds (`pool`). That takes some minutes on two cores; `--pool` keeps them, goes
on with what an interrupted run has left, and once they are whole only judges. Then thousands of jobs are
drawn from the pools (`jobs`) and concluded by the product, and by the rules that people use (`rules`). The
command fails where the optimizer verdict errs too often: its rate above 6.5%, or its lower bound above 5%.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.aa.judge import (
    CONFIG_WRONG,
    METHODS,
    OPTIMIZER,
    OPTIMIZER_FIXED,
    Cell,
    Judged,
    Part,
    judge,
    rates,
)
from benchmarks.aa.pool import QUICK, SETTINGS, Pool, Setting, build, described, load, save
from benchmarks.aa.rows import MethodRates
from benchmarks.shared.machine import environment
from benchmarks.shared.processes import PROCESSES
from benchmarks.shared.rates import LOWER, MOST
from benchmarks.shared.trainers import trainers

NAMES, REPLICATES, SEEDS = (2, 6), (3, 1, 5), 10
QUICK_SEEDS = 4
JOBS, QUICK_JOBS = 3000, 120
"""With the first of REPLICATES, which is a job's default; with the others a third of them."""

PART = 100
"""Jobs that a process judges in one go."""

CHECKED = 5
"""Jobs of each part of the first kind that `recommend` concludes as well."""


def pools(settings: Sequence[Setting], file: Path) -> list[Pool]:
    """Those of `file`, or newly trained and saved there."""
    if file.exists():
        stored = load(file)
        if [pool.setting for pool in stored] == list(settings):
            return stored
        raise SystemExit(f"{file} holds pools of other settings; name another file")
    part = file.with_name(f"{file.name}.part")
    made = []
    for setting in settings:
        started = time.perf_counter()
        made.append(build(setting, part, sys.stderr))
        print(f"{setting.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    save(made, file)
    part.unlink(missing_ok=True)
    return load(file)


def measure(pools_of_file: Sequence[Pool], file: Path, jobs: int, seed: int, seeds: int) -> list[MethodRates]:
    cells = [
        Cell(number, names, replicates, seeds)
        for number in range(len(pools_of_file))
        for replicates in REPLICATES
        for names in NAMES
        if replicates < len(pools_of_file[number].groups)
    ]
    chunks = [
        Part(cell, min(PART, of - start), seed=seed + start, checked=CHECKED if start == 0 else 0)
        for cell in cells
        for of in [jobs if cell.replicates == REPLICATES[0] else math.ceil(jobs / 3)]
        for start in range(0, of, PART)
    ]
    heard: dict[int, Judged] = {}
    with trainers(PROCESSES, judge, str(file)) as crew:
        crew.map(chunks, heard.__setitem__)
    return [
        _row(
            pools_of_file[cell.pool],
            cell,
            _joined([heard[i] for i, part in enumerate(chunks) if part.cell == cell]),
        )
        for cell in cells
    ]


def _joined(parts: Sequence[Judged]) -> Judged:
    return Judged(*([one for part in of for one in part] for of in zip(*parts, strict=True)))


def _row(pool: Pool, cell: Cell, judged: Judged) -> MethodRates:
    return MethodRates(
        pool=pool.setting.name,
        names=cell.names,
        replicates=cell.replicates,
        seeds=cell.seeds,
        jobs=len(judged.named),
        seeds_used=fmean(judged.seeds),
        rates=rates(judged, len(pool.groups), pool.setting.fresh),
    )


def rates_table(rows: Sequence[MethodRates], pool: Pool) -> Table:
    setting = pool.setting
    table = Table(
        title=f"{setting.name}: {setting.optimizer} against itself, {len(pool.studies)} studies of "
        f"{setting.trials} trials; share of jobs in which a winner is named"
    )
    table.add_column("rule", no_wrap=True)
    rows_of_pool = [row for row in rows if row.pool == setting.name]
    for row in rows_of_pool:
        table.add_column(f"{row.names} names\nR = {row.replicates}", justify="right", no_wrap=True)
    for method in METHODS:
        table.add_row(method, *(_shown(row, method) for row in rows_of_pool))
    table.add_row("fresh seeds of a champion", *(f"{row.seeds_used:.1f}" for row in rows_of_pool))
    return table


def _shown(row: MethodRates, method: str) -> str:
    rate = row.rate(method)
    if row.replicates == 1 and method in (OPTIMIZER, OPTIMIZER_FIXED):
        return "none given"
    words = f"{rate.rate:.1%}\n{100 * rate.low:.1f} to {100 * rate.high:.1f}"
    if rate.pool_low is None or rate.pool_high is None:
        return words
    return f"{words}\n{100 * rate.pool_low:.1f} to {100 * rate.pool_high:.1f}"


def main(argv: Sequence[str] | None = None) -> int:
    given = _options(argv)
    settings = QUICK if given.quick else SETTINGS
    with TemporaryDirectory() as folder:
        file = given.pool or Path(folder) / "pool.json"
        trained = pools(settings, file)
        started = time.perf_counter()
        jobs = given.jobs or (QUICK_JOBS if given.quick else JOBS)
        rows = measure(trained, file, jobs, given.seed, QUICK_SEEDS if given.quick else SEEDS)
        judged_s = time.perf_counter() - started
    console = Console(width=max(160, Console().width))
    for pool in trained:
        console.print(rates_table(rows, pool))
    console.print(
        "below each share its 95% bounds over jobs (Clopper-Pearson); below these, those over pools: jobs "
        "from one pool share its studies and seeds, and are no independent looks at the world\n"
        "config verdict: two configs of one optimizer may truly differ; worse: on the pool's "
        "other seeds, whose means have errors too"
    )
    failed = [row for row in rows if not row.meets]
    for row in failed:
        rate = row.rate(OPTIMIZER)
        console.print(
            f"TOO OFTEN: {row.pool}, {row.names} names, R = {row.replicates}: {rate.rate:.1%} of "
            f"{row.jobs} jobs, lower bound {rate.low:.1%}"
        )
    if not failed:
        most = max(row.rate(OPTIMIZER).rate for row in rows)
        console.print(f"the optimizer verdict errs in {most:.1%} of jobs at most; allowed are {MOST:.1%}")
    if given.json:
        document = {
            "pools": [described(pool) for pool in trained],
            "required": {"most": MOST, "lower_bound": LOWER, "met": not failed},
            "rows": [asdict(row) for row in rows],
            "judged_seconds": judged_s,
            "environment": environment(),
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    if given.plot:
        from benchmarks.aa.plots import picture

        picture(
            [row for row in rows if row.replicates == REPLICATES[0]], METHODS[:-2], CONFIG_WRONG, given.plot
        )
    return 1 if failed else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.aa", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="pools and jobs that say little, in a minute")
    parser.add_argument(
        "--pool", type=Path, metavar="FILE", help="keep the pools there, and go on from there"
    )
    parser.add_argument("--jobs", type=int, help=f"drawn for each kind of job, in place of {JOBS}")
    parser.add_argument("--seed", type=int, default=0, help="by which jobs are drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the rates there")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
