"""What the same search costs: Optuna around a plain PyTorch loop, Ray Tune, and whichopt, beside a bound.

    python -m benchmarks.cohort [--workload mlp|cnn|wide|all] [--only a,b,d] [--repeats N] [--json FILE]

All rows take turns in one run and train the same trials on the same splits with the same selection metric, so
their times and their best validation values compare. The machine may drift: it is the ratio within a run that
counts. Every row's processes are warm when its clock starts. Needs the `dev` dependencies, row (c) `ray`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cohort.bound import bound
from benchmarks.cohort.optuna_rows import fused, one_thread, plain
from benchmarks.cohort.plots import bars
from benchmarks.cohort.ray_rows import fresh, reused
from benchmarks.cohort.runs import Outcome
from benchmarks.cohort.service_row import service
from benchmarks.shared.digits import OPTIMIZERS, SIZES, job
from benchmarks.shared.machine import environment


@dataclass(frozen=True)
class WayToSearch:
    """A way to run a job's search."""

    title: str
    run: Callable[[dict[str, Any], int], Outcome]


ROWS = {
    "a": WayToSearch("Optuna + plain PyTorch", plain),
    "a1": WayToSearch("Optuna + plain PyTorch, 1 thread", one_thread),
    "b": WayToSearch("Optuna + fused PyTorch, 2 processes", fused),
    "c1": WayToSearch("Ray Tune, actors reused", reused),
    "c2": WayToSearch("Ray Tune, an actor a trial", fresh),
    "d": WayToSearch("whichopt over HTTP, 2 workers", service),
    "e": WayToSearch("bound: matrix products at peak", bound),
}


TIMES = ("speed/(a)", "speed/(b)")


@dataclass(frozen=True)
class Summary:
    """A row over all repeats: medians. `times_a` is the seconds of (a) over these, of the same repeat."""

    workload: str
    row: str
    trials: int
    seconds: float | None
    trials_per_minute: float | None
    times_a: float | None
    times_b: float | None
    best_value: float | None
    note: str


def measure(names: Sequence[str], rows: Sequence[str], given: argparse.Namespace) -> list[Outcome]:
    """Every row of every workload, in turns; a repeat has its own seed."""
    outcomes = []
    for repeat in range(given.repeats):
        for name in names:
            body = job(name, trials=given.trials, seed=given.seed + repeat, executor=given.executor)
            for row in rows:
                outcome = ROWS[row].run(body, repeat)
                outcomes.append(outcome)
                took = outcome.note if outcome.seconds is None else f"{outcome.seconds:.2f} s, {outcome.note}"
                print(f"{name} {row}: {took}", flush=True)
    return outcomes


def summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    rows = []
    for workload, row in dict.fromkeys((one.workload, one.row) for one in outcomes):
        of_row = [one for one in outcomes if (one.workload, one.row) == (workload, row)]
        seconds = _median(one.seconds for one in of_row)
        rows.append(
            Summary(
                workload=workload,
                row=row,
                trials=of_row[0].trials,
                seconds=seconds,
                trials_per_minute=of_row[0].trials * 60 / seconds if seconds else None,
                times_a=_median(_times("a", one, outcomes) for one in of_row),
                times_b=_median(_times("b", one, outcomes) for one in of_row),
                best_value=_median(one.best_value for one in of_row),
                note=of_row[-1].note,
            )
        )
    return rows


def _times(base: str, one: Outcome, outcomes: Sequence[Outcome]) -> float | None:
    """How many times as fast it was as row `base` of the same workload and repeat, if both have run."""
    for other in outcomes:
        same = (other.workload, other.row, other.repeat) == (one.workload, base, one.repeat)
        if same and other.seconds and one.seconds:
            return other.seconds / one.seconds
    return None


def agreement(outcomes: Sequence[Outcome]) -> float | None:
    """How far the rows' first trials, which train the same settings, lie apart at most, relatively.

    They would be equal to the bit if all rows had the same kernels.
    """
    apart = []
    for one in outcomes:
        same = [two for two in outcomes if (two.workload, two.repeat) == (one.workload, one.repeat)]
        for label, value in one.defaults.items():
            values = [two.defaults[label] for two in same if label in two.defaults]
            apart.append((max(values) - min(values)) / value if math.isfinite(max(values)) else math.inf)
    return max(apart, default=None)


def times_table(measured: Sequence[Summary]) -> Table:
    table = Table(title="The same trials: same spaces, splits, init, order, epochs and selection metric")
    for heading in ("workload", "row", "trials", "seconds", "trials/min", *TIMES, "best nll", "note"):
        wordy = heading in ("workload", "row", "note")
        table.add_column(heading, justify="left" if wordy else "right", no_wrap=True)
    for one in measured:
        table.add_row(
            one.workload,
            f"{one.row:2} {ROWS[one.row].title}",
            str(one.trials or "-"),
            _number(one.seconds, "#.3g"),
            _number(one.trials_per_minute, ",.0f"),
            _number(one.times_a, ".2f"),
            _number(one.times_b, ".2f"),
            _number(one.best_value, ".4f"),
            one.note,
            end_section=one.row == measured[-1].row,
        )
    return table


def main(argv: Sequence[str] | None = None) -> None:
    given = _options(argv)
    names = list(SIZES) if given.workload == "all" else [given.workload]
    about = environment()  # the load is that of others
    outcomes = measure(names, given.only, given)
    rows = summaries(outcomes)
    console = Console(width=max(160, Console().width))  # a table that is cut says nothing
    console.print(times_table(rows))
    apart = agreement(outcomes)
    if apart is not None:
        console.print(
            "best nll: the best search trial on the validation split, which is the same split for all rows; "
            f"the first trials, the same settings in all rows, differ by {apart:.1e} at most, relatively"
        )
    if about["load"] > 0.5:
        console.print(
            f"the load was {about['load']:.1f} before the first row: others use the cores, and (a) suffers "
            "most, as its threads wait for each other"
        )
    if given.json:
        document = {
            "specs": {
                name: job(name, trials=given.trials, seed=given.seed, executor=given.executor)
                for name in names
            },
            "environment": about,
            "titles": {name: row.title for name, row in ROWS.items()},
            "summaries": [asdict(one) for one in rows],
            "outcomes": [asdict(one) for one in outcomes],
            "agreement": apart,
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    if given.plot:
        seconds: dict[str, dict[str, float]] = {name: {} for name in names}
        for one in rows:
            if one.seconds is not None:
                seconds[one.workload][one.row] = one.seconds
        bars(seconds, {name: row.title for name, row in ROWS.items()}, given.plot)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cohort",
        description=(__doc__ or "").splitlines()[0],
        epilog="; ".join(f"({name}) {row.title}" for name, row in ROWS.items()),
    )
    parser.add_argument("--workload", choices=(*SIZES, "all"), default="mlp")
    parser.add_argument(
        "--only", default=",".join(ROWS), type=_rows, metavar="a,b,d", help="these rows alone"
    )
    parser.add_argument(
        "--trials", type=int, help=f"of all optimizers together; a multiple of {len(OPTIMIZERS)}"
    )
    parser.add_argument("--repeats", type=int, default=1, help="each with its own seed; medians are shown")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executor", choices=("auto", "solo", "stacked"), default="auto", help="of row d")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the seconds as bars there")
    given = parser.parse_args(argv)
    if given.trials is not None and (given.trials < 1 or given.trials % len(OPTIMIZERS)):
        parser.error(f"--trials {given.trials}: not a multiple of {len(OPTIMIZERS)}")
    return given


def _rows(text: str) -> list[str]:
    """Rows by name, and by letter where no row is named by that alone: `c` stands for `c1` and `c2`."""
    wanted = [name.strip() for name in text.split(",")]
    chosen = {row for name in wanted for row in ([name] if name in ROWS else _beginning(name))}
    return [row for row in ROWS if row in chosen]


def _beginning(letter: str) -> list[str]:
    rows = [row for row in ROWS if letter and row.startswith(letter)]
    if not rows:
        raise argparse.ArgumentTypeError(f"no row {letter!r}; there are: {', '.join(ROWS)}")
    return rows


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    main()
