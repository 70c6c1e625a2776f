"""What company is worth: trial-steps a second by the size of a cohort, and what many trials or steps cost.

    python -m benchmarks.cohort_size [--executor stacked] [--repeats N] [--json FILE] [--plot FILE] [--quick]

In one process with one torch thread, through the executors alone: no database, no sampler. All sizes and the
solo executor take turns, and a ratio is one within a turn. Every cohort holds AdaBelief, SGD, Adam and AdamW
in equal shares, and trials are evaluated after every epoch as in a job.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cohort_size.plots import Panel, curves
from benchmarks.shared.digits import job, resolved
from benchmarks.shared.machine import environment
from whichopt.service.planning.cohorts import COHORT_TRIALS
from whichopt.service.planning.rounds import next_round
from whichopt.service.states import TrialState
from whichopt.service.trials import TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Workload

SOLO = "solo"
MIXED = 8
"""The fewest trials of a turn, so that small cohorts hold the same mix of optimizers among them."""

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Setting:
    """A workload and its training, as a job has them."""

    model: str
    body: dict[str, Any]

    def plans(self, count: int) -> list[TrialPlan]:
        """`count` trials, optimizers in turn: defaults, with learning rates between a tenth of theirs and it.

        So none diverges, and all take the same number of steps.
        """
        spec = resolved(self.body)
        first = next_round(spec, [], suggest)
        assert first is not None
        base = first.cohorts[0][0]
        plans = []
        for number in range(count):
            chosen = spec.optimizers[number % len(spec.optimizers)]
            lr = float(chosen.default["lr"]) * 10 ** -(number * GOLDEN % 1)
            config = {**chosen.default, "lr": lr}
            changes = {"label": chosen.label, "optimizer": chosen.name, "config": config, "number": number}
            plans.append(base.model_copy(update=changes))
        return plans

    def workload(self) -> Workload:
        return workload.build(resolved(self.body).cataloged)


def digits(name: str, epochs: int) -> Setting:
    body = job(name, trials=4)
    return Setting(name, {**body, "budget": {**body["budget"], "epochs": epochs}})


def tiny() -> Setting:
    """Wine on a linear model, two epochs: seven steps."""
    body = digits("mlp", epochs=2).body
    return Setting("linear", {**body, "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}}})


@dataclass(frozen=True)
class CohortCost:
    """What one executor took for `trials` trials in cohorts of at most `cohort`, `steps` steps each."""

    model: str
    executor: str
    cohort: int
    trials: int
    steps: int
    seconds: float

    @property
    def trial_steps_per_second(self) -> float:
        return self.trials * self.steps / self.seconds

    @property
    def ms_per_trial(self) -> float:
        return self.seconds / self.trials * 1e3


def cost(setting: Setting, executor: str, trials: int, cohort: int) -> CohortCost:
    """Runs `trials` trials, one cohort after another."""
    plans, built, run = setting.plans(trials), setting.workload(), EXECUTORS[executor]()
    built.splits(plans[0].seeds.split)
    started = time.perf_counter()
    results = [
        result
        for begin in range(0, trials, cohort)
        for result in run.run(built, plans[begin : begin + cohort], Unwatched())
    ]
    seconds = time.perf_counter() - started
    assert {result.state for result in results} == {TrialState.COMPLETE}
    return CohortCost(setting.model, executor, cohort, trials, results[0].steps, seconds)


@dataclass(frozen=True)
class Throughput:
    """Of a size of cohort, over all turns: medians; `ratio` is to the solo executor in the same turn."""

    model: str
    executor: str
    cohort: int
    trial_steps_per_second: float
    ratio: float
    base: bool


def by_size(setting: Setting, executor: str, sizes: Sequence[int], repeats: int) -> list[Throughput]:
    """Solo and every size of cohort, in turns."""
    cost(setting, SOLO, 4, 4)
    cost(setting, executor, 4, 4)
    turns: list[list[float]] = []
    for _ in range(repeats):
        alone = cost(setting, SOLO, MIXED, MIXED)
        costs = [alone, *(cost(setting, executor, max(size, MIXED), size) for size in sizes)]
        turns.append([one.trial_steps_per_second for one in costs])
    speeds = []
    for at, size in enumerate((1, *sizes)):
        speed = statistics.median(turn[at] for turn in turns)
        ratio = statistics.median(turn[at] / turn[0] for turn in turns)
        speeds.append(Throughput(setting.model, executor if at else SOLO, size, speed, ratio, not at))
    return speeds


def by_trials(executor: str, counts: Sequence[int]) -> list[CohortCost]:
    """A tiny model, ever more trials, in cohorts as a job has them."""
    setting, cohort = tiny(), COHORT_TRIALS[executor]
    cost(setting, executor, cohort, cohort)
    return [cost(setting, executor, count, cohort) for count in counts]


def by_steps(executor: str, epochs: Sequence[int], trials: int = 16) -> list[CohortCost]:
    """One cohort, ever more steps."""
    cost(digits("mlp", 1), executor, trials, trials)
    return [cost(digits("mlp", count), executor, trials, trials) for count in epochs]


def growth(costs: Sequence[CohortCost], of: Callable[[CohortCost], int]) -> float:
    """The exponent of the cost from the middle to the last: 1 where it grows in proportion."""
    middle, last = costs[(len(costs) - 1) // 2], costs[-1]
    return math.log(last.seconds / middle.seconds) / math.log(of(last) / of(middle))


def speed_table(speeds: Sequence[Throughput]) -> Table:
    table = Table("model", "executor", title="One thread: trial-steps a second by size of cohort")
    for heading in ("cohort", "trial-steps/s", "times solo"):
        table.add_column(heading, justify="right")
    for one in speeds:
        cells = (str(one.cohort), f"{one.trial_steps_per_second:,.0f}", f"{one.ratio:.2f}")
        table.add_row(one.model, one.executor, *cells)
    return table


def cost_table(title: str, costs: Sequence[CohortCost]) -> Table:
    table = Table("model", "executor", title=title)
    for heading in ("cohort", "trials", "steps", "seconds", "ms a trial", "trial-steps/s"):
        table.add_column(heading, justify="right")
    for one in costs:
        counts = (str(one.cohort), f"{one.trials:,}", f"{one.steps:,}", f"{one.seconds:.3f}")
        speeds = (f"{one.ms_per_trial:.2f}", f"{one.trial_steps_per_second:,.0f}")
        table.add_row(one.model, one.executor, *counts, *speeds)
    return table


def main(argv: Sequence[str] | None = None) -> None:
    given = _options(argv)
    about, threads = environment(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measured = _measured(given)
    finally:
        torch.set_num_threads(threads)
    sizes, trials, steps = measured
    exponents = {"trials": growth(trials, lambda c: c.trials), "steps": growth(steps, lambda c: c.steps)}
    console = Console(width=max(110, Console().width))
    console.print(speed_table(sizes))
    console.print(cost_table(f"Ever more trials: seconds grow as trials^{exponents['trials']:.2f}", trials))
    console.print(cost_table(f"Ever more steps: seconds grow as steps^{exponents['steps']:.2f}", steps))
    if given.json:
        document = {
            "environment": {**about, "threads": 1, "processes": 1},
            "by_size": [asdict(one) for one in sizes],
            "by_trials": [asdict(one) for one in trials],
            "by_steps": [asdict(one) for one in steps],
            "exponents": exponents,
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    if given.plot:
        _plot(sizes, trials, steps, given)


def _measured(given: argparse.Namespace) -> tuple[list[Throughput], list[CohortCost], list[CohortCost]]:
    quick: bool = given.quick
    sizes = (1, 4) if quick else (1, 2, 4, 8, 16, 32, 64, 128)
    counts = (8, 32) if quick else (10, 30, 100, 300, 1_000, 3_000, 10_000)
    epochs = (1, 2) if quick else (1, 2, 4, 8, 16, 32)
    settings = [digits("mlp", 1 if quick else 3), digits("cnn", 1)]
    speeds = [one for setting in settings for one in by_size(setting, given.executor, sizes, given.repeats)]
    return speeds, by_trials(given.executor, counts), by_steps(given.executor, epochs)


def _plot(
    sizes: Sequence[Throughput],
    trials: Sequence[CohortCost],
    steps: Sequence[CohortCost],
    given: argparse.Namespace,
) -> None:
    ratios = {
        model: [(one.cohort, one.ratio) for one in sizes if one.model == model and not one.base]
        for model in dict.fromkeys(one.model for one in sizes)
    }
    panels = [
        Panel(f"{given.executor}, one thread", "trials in a cohort", "speed, times solo", ratios, cost=False),
        Panel(
            "Ever more trials", "trials", "seconds", {"wine, linear": [(c.trials, c.seconds) for c in trials]}
        ),
        Panel("Ever more steps", "steps", "seconds", {"digits, mlp": [(c.steps, c.seconds) for c in steps]}),
    ]
    curves(panels, given.plot)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cohort_size", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--executor", choices=sorted(EXECUTORS), default=sorted(EXECUTORS)[-1])
    parser.add_argument("--repeats", type=int, default=3, help="turns of solo and all sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there")
    parser.add_argument("--quick", action="store_true", help="few and small")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
