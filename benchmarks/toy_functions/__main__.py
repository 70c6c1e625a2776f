"""AdaBelief, Adam and SGD on the toy functions of the AdaBelief paper's Figure 3, at equal and at tuned lr.

Source: Zhuang et al., AdaBelief Optimizer, https://arxiv.org/abs/2010.07468. The paper compares at one lr.
But 1e-3 is another length for SGD than for Adam, so this shows, beside it, what each optimizer does at the
best of the same 65 learning rates, by three measures:

1. from the paper's start, where a run that happens to cross the minimum on its way wins;
2. the median of 33 starts within 0.1 of it, where luck at one of them does not count;
3. the same until f stays below the tolerance, which steps that jump about the minimum do not achieve.

Nothing but the learning rate is tuned. "Dampened" is SGD whose momentum is an average of gradients, as Adam's
is, rather than their sum: a tenth of the step. Run it from the root of the repository; it takes two to three
minutes::

    python -m benchmarks.toy_functions --json toy_functions.json --figures docs/adabelief/figures
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.toy_functions import plots
from benchmarks.toy_functions.runs import (
    LR,
    MAX_STEPS,
    METHODS,
    PROBLEMS,
    TOLERANCE,
    Run,
    Scan,
    Tuned,
    best,
    dampened_sgd,
    equal_rates,
    grid,
    scan,
    starts,
)

RUNNERS = {method.name: method.make for method in METHODS} | {"SGD, dampened": dampened_sgd}


@dataclass(frozen=True)
class Measure:
    """What is fewest at the best learning rate."""

    name: str
    title: str
    steps: Callable[[Scan], Tensor]
    over_starts: Callable[[Tensor], Tensor]


MEASURES = (
    Measure("paper_start", "from the paper's start", lambda s: s.first, lambda x: x[..., 0]),
    Measure("median", "median of the starts", lambda s: s.first, lambda x: x.median(-1).values),
    Measure("settled", "median, to stay below", lambda s: s.settled, lambda x: x.median(-1).values),
)


@dataclass(frozen=True)
class Result:
    """The best learning rate, and the lowest f that any of them reached."""

    tuned: Tuned
    lowest: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, and write what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.toy_functions",
        description="The toy functions of AdaBelief, at equal and at tuned lr.",
    )
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument(
        "--figures",
        type=Path,
        default=Path("docs/adabelief/figures"),
        help="write figures here (%(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="a few steps, rates and frames, for a test")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    max_steps, number, per_decade = (45, 3, 1) if options.quick else (MAX_STEPS, 33, 8)
    lrs = grid(-6, 2, per_decade)

    equal = [{name: equal_rates(p, make, max_steps) for name, make in RUNNERS.items()} for p in PROBLEMS]
    scans = [scan(problem, lrs, starts(problem, number), max_steps) for problem in PROBLEMS]
    results = {measure.name: [measured(s, measure) for s in scans] for measure in MEASURES}
    same = sum(
        runs[method.name][0].steps == _count(s.first[i, lrs.index(LR), 0])
        for runs, s in zip(equal, scans, strict=True)
        for i, method in enumerate(METHODS)
    )

    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(equal_table(equal, max_steps))
    for measure in MEASURES:
        console.print(tuned_table(measure, results[measure.name]))
    print(f"At lr {LR:g}, runs one by one and rows of the scan agree in {same} of {3 * len(PROBLEMS)}.")

    options.figures.mkdir(parents=True, exist_ok=True)
    shown = [[runs[method.name][-1] for method in METHODS] for runs in equal]
    dpi = 60 if options.quick else 160
    plots.paths(shown, options.figures / "toy_functions.png", dpi)
    plots.rates(scans, options.figures / "toy_learning_rates.png", dpi)
    plots.film(shown, options.figures / "toy_functions.gif", 6 if options.quick else 84)
    if options.json:
        settings = {
            "tolerance": TOLERANCE,
            "max_steps": max_steps,
            "equal_lr": LR,
            "lrs": lrs,
            "starts": number,
            "torch": torch.__version__,
        }
        names = [problem.name for problem in PROBLEMS]
        document = {
            "settings": settings,
            "equal": dict(zip(names, map(_equal_numbers, equal), strict=True)),
            "tuned": {
                measure: {
                    name: {method: asdict(r.tuned) | {"lowest_f": r.lowest} for method, r in row.items()}
                    for name, row in zip(names, rows, strict=True)
                }
                for measure, rows in results.items()
            },
            "median_steps_by_lr": dict(zip(names, map(_curves, scans), strict=True)),
            "agreeing": same,
        }
        options.json.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    print(f"Figures are in {options.figures}. This took {time.perf_counter() - began:.0f} s.")


def measured(of: Scan, measure: Measure) -> dict[str, Result]:
    """Each method's best learning rate."""
    steps = measure.over_starts(measure.steps(of))
    lowest = measure.over_starts(of.lowest.amin(1))
    return {method.name: Result(best(of.lrs, steps[i]), lowest[i].item()) for i, method in enumerate(METHODS)}


def equal_table(equal: Sequence[dict[str, list[Run]]], max_steps: int) -> Table:
    """The paper's comparison; the fewest steps of a row are in bold."""
    title = f"Equal learning rates ({LR:g}): steps until f < {TOLERANCE:g}, at most {max_steps:,}"
    table = Table(title=title, box=box.SIMPLE, padding=(0, 1))
    for heading in ("f(x, y)", "start", *RUNNERS):
        table.add_column(heading, no_wrap=heading == "f(x, y)")
    for problem, runs in zip(PROBLEMS, equal, strict=True):
        fewest = _fewest(run.steps for of in runs.values() for run in of)
        cells = ["; ".join(_outcome(run, fewest) for run in of) for of in runs.values()]
        table.add_row(problem.name, f"({problem.start[0]:g}, {problem.start[1]:g})", *cells)
    return table


def tuned_table(measure: Measure, results: Sequence[dict[str, Result]]) -> Table:
    """Steps at the best learning rate, and how wide is the range that needs at most twice as many."""
    title = f"Tuned lr, {measure.title}: steps at lr (decades of lr within twice the steps)"
    table = Table("f(x, y)", *(method.name for method in METHODS), title=title, box=box.SIMPLE)
    for problem, row in zip(PROBLEMS, results, strict=True):
        fewest = _fewest(result.tuned.steps for result in row.values())
        table.add_row(problem.name, *(_best(result, fewest) for result in row.values()))
    return table


def _outcome(run: Run, fewest: int | None) -> str:
    if run.diverged:
        return "diverges"
    rate = "" if run.lr == LR else f"at {run.lr:.0e} ".replace("e-0", "e-")
    if run.steps is None:
        return f"{rate}not (f = {_short(run.values[-1])})"
    return rate + _bold(run.steps, fewest)


def _best(result: Result, fewest: int | None) -> str:
    tuned = result.tuned
    if tuned.steps is None:
        return "never" if result.lowest < TOLERANCE else f"never (f = {_short(result.lowest)})"
    return f"{_bold(tuned.steps, fewest)} at {tuned.lr:.2g} ({tuned.decades:.1f})"


def _fewest(counts: Iterable[int | None]) -> int | None:
    return min((steps for steps in counts if steps is not None), default=None)


def _bold(steps: int, fewest: int | None) -> str:
    return f"[bold]{steps:,}[/]" if steps == fewest else f"{steps:,}"


def _short(f: float) -> str:
    return f"{f:.0f}" if f >= 10 else f"{f:#.2g}"


def _count(steps: Tensor) -> int | None:
    return int(steps) if steps.isfinite() else None


def _equal_numbers(runs: dict[str, list[Run]]) -> dict[str, list[dict[str, Any]]]:
    def numbers(run: Run) -> dict[str, Any]:
        end = {"f": run.values[-1], "x_y": run.path[-1]}
        return {"lr": run.lr, "steps": run.steps, "diverged": run.diverged} | ({} if run.diverged else end)

    return {name: [numbers(run) for run in of] for name, of in runs.items()}


def _curves(of: Scan) -> dict[str, list[int | None]]:
    medians = of.first.median(-1).values
    return {method.name: [_count(steps) for steps in medians[i]] for i, method in enumerate(METHODS)}


if __name__ == "__main__":
    main()
