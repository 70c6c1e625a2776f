"""AdAdaGrad and AdAdaGradNorm against Adagrad, AdaGradNorm, SGD and Adam, whose batch size is searched.

    python -m benchmarks.adaptive [--quick] [--data FOLDER] [--only NAME ...] [--json FILE] [--docs FILE]

On each workload they race twice: at equal examples (as many trials, each of as many epochs), and at equal
seconds (as many minutes for each optimizer). What is reported is of fresh seeds and test examples. Before
the races the cost of an example in growing batches is measured beside a fixed batch of 64. The service's data
folder keeps what is done, so a second start goes on where the first one ended.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.adaptive.asked import NETWORK, RACES, REGRESSION
from benchmarks.adaptive.cost import Cost, costs
from benchmarks.shared.races import options, run

DATA = Path("whichopt-data/adaptive")

WORKLOADS = {"digits, logistic regression": REGRESSION, "mnist1d, mlp": NETWORK}


def shown(found: Sequence[Cost]) -> Table:
    """Return the costs for a terminal."""
    table = Table(title="An example's cost, beside a fixed batch of 64")
    for name in ("workload", "executor", "batches", "µs an example", "times"):
        table.add_column(name, justify="right" if name in ("µs an example", "times") else "left")
    for one in found:
        table.add_row(one.workload, one.executor, one.batches, f"{one.micros:.3g}", f"{one.ratio:.2f}")
    return table


def written(found: Sequence[Cost]) -> str:
    """Return the costs as the documentation has them."""
    lines = [
        "| workload | executor | batches | µs an example | times a fixed batch of 64 |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.workload} | {one.executor} | {one.batches} | {one.micros:.3g} | {one.ratio:.2f} |"
        for one in found
    ]
    return "\n".join([*lines, "", ""])


def main(argv: Sequence[str] | None = None) -> int:
    parser = options(module="benchmarks.adaptive", about=__doc__ or "", data=DATA, races=RACES)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)  # as in a training process
    found = list(costs(WORKLOADS, epochs=1 if given.quick else 3))
    Console(width=120).print(shown(found))
    return run(given, RACES, extra=written(found))


if __name__ == "__main__":
    sys.exit(main())
