"""Seconds of a training step of one trial, solo and in a stack, for five networks by their layers.

    python -m benchmarks.layers [--repeats N] [--json FILE] [--quick]

In one process with one torch thread, on digits with batches of 64. A stack has 16 trials of AdaBelief, SGD,
Adam and AdamW in equal shares, of different seeds. Both ways take turns, and a ratio is one within a turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.shared.digits import resolved
from benchmarks.shared.machine import environment
from whichopt.service.planning.rounds import next_round
from whichopt.service.trials import TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine.executors import STACKING, NoSuchExecutor
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.sampler import suggest

OPTIMIZERS = ("adabelief", "sgd", "adam", "adamw")
TRIALS = 16
OUT = {"type": "linear", "out": "outputs"}
CONV = {"type": "conv2d", "out": 16, "padding": 1, "bias": False}
DENSE = {"type": "linear", "out": 64, "bias": False}

NETWORKS: dict[str, list[Any]] = {
    "mlp 128-64": [{"type": "linear", "out": 128}, "relu", {"type": "linear", "out": 64}, "relu", OUT],
    "mlp with batch norm and dropout": [
        *({"type": "linear", "out": 128, "bias": False}, "batch_norm", "relu", "dropout"),
        *({"type": "linear", "out": 64, "bias": False}, "batch_norm", "relu", "dropout", OUT),
    ],
    "4 residual blocks with layer norm": [
        {"type": "linear", "out": 64},
        *[{"type": "residual", "layers": ["layer_norm", {"type": "linear", "out": 64}, "gelu"]}] * 4,
        OUT,
    ],
    "2 residual blocks with batch norm": [
        DENSE,
        *[{"type": "residual", "layers": [DENSE, "batch_norm", "relu", DENSE, "batch_norm"]}] * 2,
        OUT,
    ],
    "small residual network of images": [
        *("unflatten", CONV, "batch_norm", "relu"),
        {"type": "residual", "layers": [CONV, "batch_norm", "relu", CONV, "batch_norm"]},
        *("relu", "max_pool2d", "mean_pool", OUT),
    ],
}


@dataclass(frozen=True)
class StepCost:
    """Milliseconds of a step of one trial: medians over the turns; so is `ratio`, of those of a turn."""

    network: str
    params: int
    solo_ms: float
    stacked_ms: float
    ratio: float


def measured(name: str, layers: list[Any], *, steps: int, repeats: int) -> StepCost:
    """Measure a network both ways, in turns."""
    if STACKING is None:
        raise NoSuchExecutor("stacked")
    body = {
        "workload": {"dataset": "digits", "model": {"name": "layers", "layers": layers}},
        "optimizers": list(OPTIMIZERS),
        "budget": {"trials": TRIALS // len(OPTIMIZERS) * 4, "replicates": 4, "epochs": 50},
        "executor": "stacked",
    }
    spec = resolved(body)
    first = next_round(spec.with_executor("stacked"), [], suggest)
    assert first is not None
    firsts = {plan.label: plan for cohort in first.cohorts for plan in cohort}
    plans = sorted(
        (_seeded(firsts[OPTIMIZERS[i % 4]], i) for i in range(TRIALS)), key=lambda plan: plan.optimizer
    )
    built = workload.build(spec.cataloged)
    turns = []
    for _ in range(repeats):
        stack = STACKING.rehearsal(built, plans, block=TRIALS)
        alone = [_seconds(TrialRun(built, plan).train, steps) for plan in plans[:: TRIALS // 4]]
        turns.append((statistics.fmean(alone), _seconds(stack.train, steps) / TRIALS))
    solo, stacked = (statistics.median(turn[at] for turn in turns) for at in (0, 1))
    params = sum(param.numel() for param in built.model(0).parameters())
    ratio = statistics.median(turn[0] / turn[1] for turn in turns)
    return StepCost(name, params, solo * 1e3, stacked * 1e3, ratio)


def _seeded(plan: TrialPlan, number: int) -> TrialPlan:
    seeds = plan.seeds.model_copy(update={"init": number, "order": number})
    return plan.model_copy(update={"seeds": seeds})


def _seconds(train: Callable[[int], torch.Tensor], steps: int) -> float:
    """Return the seconds of a step; the first ones fill the caches and are not timed."""
    size = 64
    train(2 * size)
    started = time.perf_counter()
    train((2 + steps) * size).sum().item()
    return (time.perf_counter() - started) / steps


def table(costs: Sequence[StepCost]) -> Table:
    """Return the table of all networks."""
    found = Table("network", title="One thread, digits, batches of 64: a step of one trial")
    for heading in ("params", "solo ms", "stacked ms", "times faster"):
        found.add_column(heading, justify="right")
    for one in costs:
        found.add_row(
            one.network, f"{one.params:,}", f"{one.solo_ms:.3f}", f"{one.stacked_ms:.3f}", f"{one.ratio:.1f}"
        )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all networks, print the table, and write the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--repeats", type=int, default=5, help="turns of both ways")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--quick", action="store_true", help="few steps")
    given = parser.parse_args(argv)
    about, threads = environment(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        costs = [
            measured(name, layers, steps=2 if given.quick else 40, repeats=given.repeats)
            for name, layers in NETWORKS.items()
        ]
    finally:
        torch.set_num_threads(threads)
    Console(width=max(110, Console().width)).print(table(costs))
    if given.json:
        document = {"environment": {**about, "threads": 1}, "networks": [asdict(one) for one in costs]}
        given.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
