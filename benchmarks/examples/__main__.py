"""Measures how often the interval over seeds and test examples holds the truth.

    python -m benchmarks.examples [--jobs N] [--seeds N] [--workloads N]

First in made-up worlds (`worlds`), then on real training (`trained`): pairs of configs of digits are trained
on many seeds, with 1,397 examples set aside, and made-up jobs draw few seeds and a small test split of them.
Each line has the share of jobs whose 95% interval holds the true mean lead, its own 95% interval, the shares
whose interval lies above it (a lead that is claimed too high) and below, and what the textbook's interval
would have held. 93 % are promised; a line with less says so, and the command fails if that is no mere luck.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.examples.coverage import PROMISED, SHAPES, Coverage, Matrix, coverage
from benchmarks.examples.trained import Pair, pairs
from benchmarks.examples.worlds import BEYOND, EXAMPLES, drawing

BEYOND_TITLE = "Where the promise ends"

HEAD = (
    "| world | seeds | examples | held | 95% interval | above | below | textbook | no interval |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def made_up(jobs: int, *, beyond: bool = False) -> Iterator[Coverage]:
    """Yield the coverage in each made-up world and shape."""
    for name, parts in (BEYOND if beyond else EXAMPLES).items():
        for seeds, examples in SHAPES:
            yield coverage(name, drawing(parts), 0.0, seeds=seeds, examples=examples, jobs=jobs)


def on_training(found: Iterable[Pair], jobs: int) -> Iterator[Coverage]:
    """Yield the coverage for each pair and shape: what was trained and set aside is the truth."""
    for pair in found:
        draw = partial(resampled, pair.lead)
        for seeds, examples in SHAPES:
            name = f"{pair.name}, {pair.metric}"
            yield coverage(name, draw, float(pair.lead.mean()), seeds=seeds, examples=examples, jobs=jobs)


def resampled(lead: Matrix, random: np.random.Generator, seeds: int, examples: int) -> Matrix:
    """Draw seeds and examples with replacement, so that the rows and columns of `lead` are all there are."""
    rows = random.integers(0, lead.shape[0], seeds)
    return lead[np.ix_(rows, random.integers(0, lead.shape[1], examples))]


def table(rows: Iterable[Coverage]) -> str:
    """Return the table as Markdown."""
    return "\n".join([HEAD, *map(_line, rows)])


def _line(row: Coverage) -> str:
    low, high = row.interval
    short = "" if row.share >= PROMISED else " (less than promised)"
    shares = [f"{100 * count / row.jobs:.1f}" for count in (row.above, row.below, row.plain)]
    silent = f"{100 * row.silent / (row.jobs + row.silent):.1f}"
    return (
        f"| {row.name} | {row.seeds} | {row.examples} | {100 * row.share:.1f}{short} | "
        f"{100 * low:.1f} to {100 * high:.1f} | {' | '.join(shares)} | {silent} |"
    )


def keeps_promise(rows: Iterable[Coverage]) -> bool:
    """Tell if no line is shown to have less than promised: its 95% interval reaches that."""
    return all(row.interval[1] >= PROMISED for row in rows)


def _worst(rows: Iterable[Coverage]) -> str:
    worst = min(rows, key=lambda row: row.share)
    return (
        f"Least: {100 * worst.share:.1f} % ({worst.name}, {worst.seeds} seeds, {worst.examples} examples); "
        f"{100 * PROMISED:g} % are promised."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.examples")
    parser.add_argument("--jobs", type=int, default=1000, help="made-up jobs of each line")
    parser.add_argument("--seeds", type=int, default=60, help="seeds that each config is trained on")
    parser.add_argument("--workloads", type=int, default=None, help="the first of the workloads alone")
    asked = parser.parse_args()
    console = Console(width=140)
    trained = pairs(asked.seeds, workloads=asked.workloads)
    parts: tuple[tuple[str, Iterator[Coverage]], ...] = (
        ("Made-up worlds", made_up(asked.jobs)),
        (BEYOND_TITLE, made_up(asked.jobs, beyond=True)),
        ("Real training", on_training(trained, asked.jobs)),
    )
    broken = False
    for title, found in parts:
        rows = list(found)
        console.print(Markdown(f"## {title}\n\n{table(rows)}\n\n{_worst(rows)}"))
        broken |= title != BEYOND_TITLE and not keeps_promise(rows)
    if broken:
        raise SystemExit("the interval is shown to hold the truth less often than promised")


if __name__ == "__main__":
    main()
