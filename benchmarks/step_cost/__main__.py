"""Time of a step and bytes of state of every optimizer of the catalog, beside torch's fused AdamW.

    python -m benchmarks.step_cost [--repeats N] [--json FILE] [--quick]

In one process with one torch thread. All take turns, and a ratio is one to AdamW within a turn, so that a
machine whose speed drifts gives the same ratios. Alone it is the step of the class by itself, at two sizes;
in a stack it is a whole training step of one of 16 trials side by side: an MLP of the smaller size on digits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_flatten

from benchmarks.shared.machine import environment
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import JobSpec, resolve
from whichopt.workers import workload
from whichopt.workers.engine import optimizers
from whichopt.workers.engine.executors import STACKING, NoSuchExecutor
from whichopt.workers.sampler import suggest

Shapes = Sequence[tuple[int, ...]]
Step = Callable[[], object]

BASE = "adamw"
ROWS = 16
SIZES: Mapping[str, Shapes] = {
    "17k in 6": ((128, 64), (128,), (64, 128), (64,), (10, 64), (10,)),
    "1M in 6": ((1024, 784), (1024,), (192, 1024), (192,), (10, 192), (10,)),
}
SMALL, LARGE = SIZES
DEAR = 2.0
"""Times AdamW's training step in a stack from which the text below the table names an optimizer."""


@dataclass(frozen=True)
class StepCost:
    """An optimizer's milliseconds of a step, medians over the turns, and bytes of state a param.

    The ratios are those to AdamW's of the same turn. None in a stack if it is not stacked; `way` says how a
    stack steps it.
    """

    optimizer: str
    way: str
    small_ms: float
    small_ratio: float
    stacked_ms: float | None
    stacked_ratio: float | None
    large_ms: float
    large_ratio: float
    state_bytes: int
    kept_bytes: float


def alone(entry: OptimizerEntry, shapes: Shapes) -> Optimizer:
    """Return the class over params of these shapes, with gradients, that has taken its first steps."""
    params = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    for param in params:
        param.grad = torch.randn_like(param)
    optimizer = optimizers.build(entry.name, entry.default, params)
    for _ in range(3):
        optimizer.step()
    return optimizer


def kept(optimizer: Optimizer) -> float:
    """Return the bytes of state a param, single numbers apart."""
    leaves, _ = tree_flatten(list(optimizer.state.values()))
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.numel() > 1]
    params = sum(param.numel() for group in optimizer.param_groups for param in group["params"])
    return float(sum(tensor.nbytes for tensor in tensors) / params)


def in_a_stack(entry: OptimizerEntry) -> Step | None:
    """Return a training step of a stack of `ROWS` trials; None if the optimizer is not stacked."""
    if not entry.stackable:
        return None
    if STACKING is None:
        raise NoSuchExecutor("stacked")
    body = {
        "workload": {"dataset": "digits", "model": {"name": "mlp", "hidden": [128, 64]}},
        "optimizers": [entry.name],
        "budget": {"trials": 1, "replicates": 1, "epochs": 1000},
    }
    spec = resolve(JobSpec.model_validate(body)).with_executor("stacked")
    first = next_round(spec, [], suggest)
    assert first is not None
    plan = first.cohorts[0][0]
    plans = [
        plan.model_copy(update={"seeds": plan.seeds.model_copy(update={"init": i, "order": i})})
        for i in range(ROWS)
    ]
    stack = STACKING.rehearsal(workload.build(spec.cataloged), plans, block=ROWS)
    seen = count(start=plan.training.batch_size, step=plan.training.batch_size)
    return lambda: stack.train(next(seen))


def seconds(step: Step, steps: int) -> float:
    """Return the seconds of a step, when its data are in the caches."""
    step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def medians(
    by_name: Mapping[str, Step], *, repeats: int, steps: Mapping[str, int], share: int = 1
) -> dict[str, tuple[float, float]]:
    """Return the milliseconds of each and their ratio to `BASE`, all in turns."""
    taken: dict[str, list[float]] = {name: [] for name in by_name}
    for _ in range(repeats):
        for name, step in by_name.items():
            taken[name].append(seconds(step, steps[name]) / share)
    return {
        name: (
            1e3 * statistics.median(mine),
            statistics.median(one / base for one, base in zip(mine, taken[BASE], strict=True)),
        )
        for name, mine in taken.items()
    }


def enough(by_name: Mapping[str, Step], turn: float) -> dict[str, int]:
    """Return how many steps of each fill a turn of that many seconds."""
    return {name: max(1, round(turn / seconds(step, 1))) for name, step in by_name.items()}


def measured(entries: Sequence[OptimizerEntry], *, repeats: int, turn: float) -> list[StepCost]:
    small, large = ({one.name: alone(one, SIZES[size]) for one in entries} for size in SIZES)
    stacks = {one.name: step for one in entries if (step := in_a_stack(one)) is not None}
    found = []
    for steps, share in (
        ({name: optimizer.step for name, optimizer in small.items()}, 1),
        (stacks, ROWS),
        ({name: optimizer.step for name, optimizer in large.items()}, 1),
    ):
        found.append(medians(steps, repeats=repeats, steps=enough(steps, turn), share=share))
    alone_small, stacked, alone_large = found
    rows = []
    for entry in entries:
        stacked_ms, stacked_ratio = stacked.get(entry.name, (None, None))
        rows.append(
            StepCost(
                entry.name,
                entry.stepping.rows if entry.stackable else "solo",
                *alone_small[entry.name],
                stacked_ms,
                stacked_ratio,
                *alone_large[entry.name],
                entry.state_bytes,
                kept(large[entry.name]),
            )
        )
    return rows


def shown(rows: Sequence[StepCost]) -> Table:
    table = Table(title="A step of one trial, and its state", caption=said(rows))
    for column in (
        "optimizer",
        "way",
        f"{SMALL}: ms",
        "x",
        "trained in a stack: ms",
        "x",
        f"{LARGE}: ms",
        "x",
    ):
        table.add_column(column)
    table.add_column("state: B a param")
    table.add_column(f"at {LARGE}")
    for row in rows:
        table.add_row(
            row.optimizer,
            row.way,
            f"{row.small_ms:.3f}",
            f"{row.small_ratio:.1f}",
            "" if row.stacked_ms is None else f"{row.stacked_ms:.3f}",
            "" if row.stacked_ratio is None else f"{row.stacked_ratio:.1f}",
            f"{row.large_ms:.3f}",
            f"{row.large_ratio:.1f}",
            str(row.state_bytes),
            f"{row.kept_bytes:.1f}",
        )
    return table


def _of_stack(row: StepCost) -> float:
    return row.stacked_ratio or 0.0


def said(rows: Sequence[StepCost]) -> str:
    """Say what in a stack goes through the class itself, and which of these cost most."""
    classes = [row for row in rows if row.way == "class" and row.stacked_ratio is not None]
    dear = sorted(
        (row for row in classes if (row.stacked_ratio or 0) >= DEAR),
        key=lambda row: -(row.stacked_ratio or 0),
    )
    most = ", ".join(f"{row.optimizer} ({row.stacked_ratio:.1f})" for row in dear)
    return (
        f"{len(classes)} of {len(rows)} are stepped in a stack by their class, over views of each row; of "
        f"these {most or 'none'} make a training step {DEAR:g} times AdamW's or longer."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_cost", description=__doc__)
    parser.add_argument("--repeats", type=int, default=11, help="turns of each optimizer")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    parser.add_argument("--quick", action="store_true", help="few optimizers and short turns, for tests")
    given = parser.parse_args(arguments)
    few = {BASE, "sgd", "soap", "adagradnorm", "schedulefree_adamw"}
    entries = [one for one in OPTIMIZERS if not given.quick or one.name in few]
    about, threads = environment(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = measured(entries, repeats=given.repeats, turn=0.001 if given.quick else 0.05)
    finally:
        torch.set_num_threads(threads)
    Console(width=140).print(shown(rows))
    if given.json is not None:
        content = {"environment": about, "optimizers": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
