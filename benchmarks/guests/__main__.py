"""What a job of a person's own function costs, and what it leaves behind.

    python -m benchmarks.guests [--trials N] [--repeats N] [--epochs N] [--rows whichopt,optuna,ray]

First the overhead of a trial, in bare forks of the same process, and what many trials leave behind
(`overhead`). Then the same search by `whichopt.tune`, by a plain loop around Optuna and by Ray Tune, with two
processes each (`search`). All rows take turns in one run, and so it is ratios that count. Ray is in no
environment but its own: `make bench-guests` makes one and runs this in it; without it that row is left out.
Writes guests.json and guests.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.guests.overhead import Outcome, measure
from benchmarks.guests.search import BASE, ROWS, TITLES, Found, Size, rows_here, search
from benchmarks.shared.machine import environment
from benchmarks.shared.processes import PROCESSES

RESULTS = Path(__file__).parents[1] / "results"

MOST = 2.0
"""Bare forks that the overhead of a trial may be."""


def overhead_lines(outcome: Outcome) -> list[str]:
    """Return the table of what a trial costs."""
    rows = {
        "bare fork of the process": outcome.bare_ms,
        "a trial that only reports": outcome.guest_ms,
        "bare fork that trains": outcome.bare_training_ms,
        "a trial that trains": outcome.guest_training_ms,
        "the same in the process itself": outcome.inline_training_ms,
    }
    before, after = outcome.before, outcome.after
    met = "" if outcome.ratio <= MOST else f": MORE than the {MOST:g} that are allowed"
    left = "nothing is left" if outcome.leaves_nothing else "SOMETHING IS LEFT"
    return [
        f"| {outcome.trials} trials of each row, in turns | ms a trial |",
        "|---|---|",
        *(f"| {title} | {ms:.1f} |" for title, ms in rows.items()),
        "",
        f"The overhead of a trial is {outcome.ratio:.2f} bare forks{met}.",
        "",
        f"Before and after all trials: {before.mib:.1f} and {after.mib:.1f} MiB, {before.descriptors} and "
        f"{after.descriptors} descriptors, {before.children} and {after.children} child processes, "
        f"{after.files} files: {left}.",
    ]


def search_lines(found: Sequence[Found], size: Size) -> list[str]:
    """Return the table of the search side by side."""
    rows = list(dict.fromkeys(one.row for one in found))
    lines = [
        f"| {PROCESSES} processes, {size.epochs} epochs a trial | trials | s | beside the plain loop "
        "| with its answer | processor s a trial |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        of_row = [one for one in found if one.row == row]
        cpu = [one.cpu / one.trials for one in of_row if one.cpu is not None]
        cells = [
            TITLES[row],
            str(of_row[-1].trials),
            f"{median(one.seconds for one in of_row):.1f}",
            _ratios([one.seconds for one in of_row], found),
            _ratios([one.whole for one in of_row], found),
            f"{median(cpu):.3f}" if cpu else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "s: until the last trial has ended, the median of the repeats. Beside the plain loop: the ratio to "
        "it in the same repeat (median, least and most). With its answer: the same until the verdict and the "
        "report, which only whichopt gives, are there. They are in its seconds of the processor, too.",
    ]
    if missing := [row for row in ROWS if row not in rows]:
        titles = ", ".join(TITLES[row] for row in missing)
        lines += ["", f"Left out: {titles}."]
        if "ray" in missing:
            lines[-1] += " Ray is installed by `make bench-guests`."
    return lines


def _ratios(seconds: Sequence[float], found: Sequence[Found]) -> str:
    base = [one.seconds for one in found if one.row == BASE]
    if len(base) != len(seconds):
        return "-"
    ratios = [one / other for one, other in zip(seconds, base, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main(argv: Sequence[str] | None = None) -> None:
    given = _options(argv)
    size = Size(given.search_trials, given.epochs)
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        outcome = measure(given.trials, Path(folder))
    found = list(search(size, given.repeats, given.rows, print))
    lines = [
        "# What a job of a person's own function costs",
        "",
        f"`python -m benchmarks.guests`, load {load[0]:.1f} before it and {os.getloadavg()[0]:.1f} after it",
        "",
        *overhead_lines(outcome),
        "",
        *search_lines(found, size),
    ]
    Console(width=120).print(Markdown("\n".join(lines)))
    document: dict[str, Any] = {
        "overhead": {**asdict(outcome), "ratio": outcome.ratio},
        "size": asdict(size),
        "search": [asdict(one) for one in found],
        "load": {"before": load, "after": os.getloadavg()},
        "environment": environment(),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "guests.json").write_text(json.dumps(document, indent=1, default=str) + "\n")
    (given.out / "guests.md").write_text("\n".join(lines) + "\n")
    print(f"written: {given.out / 'guests.md'}")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guests", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--trials", type=int, default=200, help="of each row of the overhead")
    parser.add_argument("--repeats", type=int, default=3, help="of the search")
    parser.add_argument("--search-trials", type=int, default=Size.trials, help="of each of its optimizers")
    parser.add_argument("--epochs", type=int, default=Size.epochs, help="of each of its trials")
    parser.add_argument("--rows", type=_rows, default=rows_here(), metavar="whichopt,optuna,bare,ray")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help="for guests.md")
    return parser.parse_args(argv)


def _rows(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(ROWS):
        raise argparse.ArgumentTypeError(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    return names


if __name__ == "__main__":
    main()
