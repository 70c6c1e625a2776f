"""Search, confirm and both verdicts, on complete published tables whose truth is known by enumeration.

    python -m benchmarks.tables [--tables N] [--repeats N] [--trials N] [--runs FILE] [--plot FILE]

A table has the recorded runs of every config of a grid. Each of its jobs is planned, confirmed and concluded
by the product, with runs that are looked up instead of trained. In half of the jobs the parts of a table
compete as optimizers; in the others one part competes with itself, so that every optimizer winner is false.
Nothing is trained; writes tables.json and tables.md, and exits with 1 if there are too many false winners.
`published` says what a fresh seed is here, and `judge` what is true.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.shared.machine import environment
from benchmarks.tables.jobs import USUAL, Outcome, Size, outcome_of, parts_of
from benchmarks.tables.judge import (
    ITSELF,
    KINDS,
    PICKS,
    SPLIT,
    lead,
    merits,
    of_kind,
    regrets,
    unmet,
    verdicts,
)
from benchmarks.tables.published import NAMES, PublishedTable, TablesMissing, load

RESULTS = Path(__file__).parents[1] / "results"
REPEATS = 25


def jobs_on(
    tables: Sequence[PublishedTable], repeats: int, size: Size = USUAL, kept: Sequence[Outcome] = ()
) -> Iterator[Outcome]:
    """Play the jobs of tables that are not kept: in turns the parts of one compete, and one with itself."""
    known = {(one.table, one.repeat, one.parts) for one in kept}
    for repeat in range(repeats):
        for table in tables:
            parts = parts_of(table)
            for competing in (parts, (parts[repeat % len(parts)],) * 2):
                if (table.name, repeat, tuple(part.name for part in competing)) not in known:
                    yield outcome_of(table, competing, repeat, size)


def report(outcomes: Sequence[Outcome], tables: Sequence[PublishedTable]) -> list[str]:
    """Return the tables of regret and of verdicts, in Markdown."""
    competing = of_kind(outcomes, SPLIT)
    by_policy = regrets(outcomes, tables)
    lines = [
        "| regret (0: best of all configs, 1: the median one) | configs | " + " | ".join(PICKS) + " |",
        "|---|---|" + "---|" * len(PICKS),
    ]
    for table in tables:
        own = [one for one in competing if one.table == table.name]
        cells = [f"{fmean(table.regret(pick(one)) for one in own):.4f}" for pick in PICKS.values()]
        lines.append(f"| {table.name} | {table.truth.size:,} | {' | '.join(cells)} |")
    means = [f"{one.mean:.4f} ({one.low:.4f} to {one.high:.4f})" for one in by_policy.values()]
    lines.append(f"| **all, with 95% bounds** | | {' | '.join(means)} |")
    better = [f"{100 * one.better:.2f}" for one in by_policy.values()]
    lines.append(f"| configs that are better than the pick, %, median | | {' | '.join(better)} |")
    lines += [
        "",
        "| jobs with a winner, % | lead, sd | config: right | false | optimizer: right | false "
        "| against itself, config: right | false | optimizer: false |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for table in tables:
        of_table = [one for one in outcomes if one.table == table.name]
        lines.append(f"| {table.name} | {lead(outcomes, table.name):.2f} | {_cells(outcomes, of_table)} |")
    lines.append(f"| **all, with 95% bounds** | | {_cells(outcomes, outcomes, bounds=True)} |")
    runs = fmean(one.runs for one in competing)
    close = verdicts(outcomes, competing).near
    lines += [
        "",
        f"{len(outcomes):,} jobs, half of each kind; {runs:.0f} runs on the average in those whose parts "
        "compete, and as many for random search. The lead of the best part is in standard deviations of what "
        f"a study finds. Named optimizers whose truth is a close call: {close}.",
    ]
    return lines


def _cells(outcomes: Sequence[Outcome], among: Sequence[Outcome], *, bounds: bool = False) -> str:
    split, itself = (verdicts(outcomes, of_kind(among, kind)) for kind in (SPLIT, ITSELF))
    rates = (
        split.config_right,
        split.config_false,
        split.optimizer_right,
        split.optimizer_false,
        itself.config_right,
        itself.config_false,
        itself.optimizer_false,
    )
    return " | ".join(str(rate) if bounds else f"{100 * rate.share:.1f}" for rate in rates)


def main(argv: Sequence[str] | None = None) -> int:
    given = _options(argv)
    started, processor = time.perf_counter(), time.process_time()
    try:
        tables = [load(name) for name in _spread(given.tables)]
    except TablesMissing as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = _kept(given, tables)
    for outcome in jobs_on(tables, given.repeats, Size(trials=given.trials), outcomes):
        outcomes.append(outcome)
        if given.runs:
            with given.runs.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
    failures = unmet(outcomes, tables)
    lines = [
        "# On published tables",
        "",
        f"`python -m benchmarks.tables --tables {given.tables} --repeats {given.repeats} "
        f"--trials {given.trials}`, "
        f"{time.perf_counter() - started:.0f} s ({time.process_time() - processor:.0f} s of the processor)",
        "",
        *report(outcomes, tables),
        "",
        *(f"NOT MET: {failure}" for failure in failures),
        *([] if failures else ["False winners are as few as promised."]),
    ]
    Console(width=160).print(Markdown("\n".join(lines)))
    document = {
        "outcomes": [asdict(one) for one in outcomes],
        "regret": {policy: one._asdict() for policy, one in regrets(outcomes, tables).items()},
        "verdicts": {kind: asdict(verdicts(outcomes, of_kind(outcomes, kind))) for kind in KINDS},
        "merits": {
            table.name: {part: one._asdict() for part, one in merits(outcomes, table.name).items()}
            for table in tables
        },
        "not_met": failures,
        "environment": environment(),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "tables.json").write_text(json.dumps(document, indent=1, default=str) + "\n")
    (given.out / "tables.md").write_text("\n".join(lines) + "\n")
    print(f"written: {given.out / 'tables.md'}")
    if given.plot:
        from benchmarks.tables.plots import picture

        picture(outcomes, tables, given.plot)
    return 1 if failures else 0


def _kept(given: argparse.Namespace, tables: Sequence[PublishedTable]) -> list[Outcome]:
    """The jobs that an earlier run with the same trials has kept, of those that are asked for."""
    if given.runs is None or not given.runs.exists():
        return []
    rows = [json.loads(line) for line in given.runs.read_text().splitlines()]
    names = {table.name for table in tables}
    return [
        Outcome(**{**row, "parts": tuple(row["parts"]), "studies": tuple(map(tuple, row["studies"]))})
        for row in rows
        if row["table"] in names and row["repeat"] < given.repeats
    ]


def _spread(count: int) -> list[str]:
    """Return that many names, of both families alike."""
    return [NAMES[at * len(NAMES) // count] for at in range(count)]


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tables", type=int, choices=range(1, len(NAMES) + 1), default=len(NAMES), metavar="N", help="of 12"
    )
    parser.add_argument(
        "--repeats", type=_repeats, default=REPEATS, metavar="N", help="of each kind of job, by table"
    )
    parser.add_argument(
        "--trials", type=int, default=USUAL.trials, metavar="N", help="of search, for each optimizer"
    )
    parser.add_argument("--runs", type=Path, metavar="FILE", help="keep each job there, and go on")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the picture there")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FOLDER", help="for tables.json and tables.md"
    )
    return parser.parse_args(argv)


def _repeats(text: str) -> int:
    """One job is judged by what is known from the others."""
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text} is no number of repeats; at least 2 are needed")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
