"""Seconds of a training step of one trial, solo and in a stack, for the networks for images.

    python -m benchmarks.networks [--repeats N] [--json FILE] [--quick] [--large]

In one process with one torch thread, on images of noise, by SGD with momentum. A stack has as many trials as
the service's probe would try. Both ways take turns, and a ratio is one within a turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.shared.digits import resolved
from benchmarks.shared.machine import environment
from whichopt.service.catalog.image_networks import ImageNetworkOptions
from whichopt.service.catalog.models import model
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.catalog.shapes import Shape
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Schedule, Seeds, Training, TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine.executors import STACKING, NoSuchExecutor
from whichopt.workers.engine.probe import FEW, LONG_S, STACKED
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.workload import Examples, Splits, Workload
from whichopt.workers.workload.models import builder
from whichopt.workers.workload.seeds import initialized

NETWORKS = ("vgg11", "resnet18", "resnet34", "densenet121")
IMAGES = ((1, 8, 8), (3, 32, 32))
WIDTHS = (0.0625, 0.25, 1.0)
BATCH = 32
ENOUGH_S = 2.0
"""Seconds of steps alone after which a turn ends."""


@dataclass(frozen=True)
class StepCost:
    """Milliseconds of a step of one trial: medians over the turns; so is `ratio`, of those of a turn."""

    network: str
    width: float
    image: tuple[int, int, int]
    params: int
    trials: int
    solo_ms: float
    stacked_ms: float
    ratio: float


def made(name: str, width: float, image: tuple[int, int, int]) -> Workload:
    """Return a workload of that network on noise of ten classes."""
    base = workload.build(resolved({"workload": {"dataset": "digits", "model": "linear"}}).cataloged)
    channels, height, across = image
    shape = Shape(4 * BATCH, channels * height * across, 10, image=image)
    entry = model(name)
    network = partial(builder(entry), ImageNetworkOptions(width=width), shape)
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(shape.examples, shape.features, generator=random)
    targets = torch.randint(10, (shape.examples,), generator=random)
    of = Examples(inputs, targets, unit=1.0)
    with torch.device("meta"):
        params = tuple(param for param, _ in network().named_parameters())
    return replace(
        base,
        shape=shape,
        players=base.criteria.players_of(name, params),
        model=lambda seed: initialized(network, seed, base.device),
        splits=lambda _: Splits(of, of, of),
    )


def plans(count: int) -> list[TrialPlan]:
    """Return trials by SGD with momentum, of different seeds."""
    return [
        TrialPlan(
            label="sgd",
            optimizer="sgd",
            config={**optimizer("sgd").default, "momentum": 0.9},
            training=Training(batch_size=BATCH, schedule=Schedule(name="constant")),
            seeds=Seeds(init=number, order=number, split=0),
            length=10_000 * BATCH,
            evaluations=(10_000 * BATCH,),
            phase=Phase.SEARCH,
            origin=Origin.RANDOM,
            replicate=0,
            number=number,
        )
        for number in range(count)
    ]


def measured(name: str, width: float, image: tuple[int, int, int], *, steps: int, repeats: int) -> StepCost:
    """Measure a network both ways, in turns."""
    if STACKING is None:
        raise NoSuchExecutor("stacked")
    built = made(name, width, image)
    first = _seconds(TrialRun(built, plans(1)[0]).train, 2)
    trials = STACKED if first < LONG_S else FEW
    steps = min(steps, max(1, round(ENOUGH_S / first)))
    turns = []
    for _ in range(repeats):
        alone = _seconds(TrialRun(built, plans(1)[0]).train, steps)
        stack = STACKING.rehearsal(built, plans(trials), block=trials)
        turns.append((alone, _seconds(stack.train, steps) / trials))
    solo, stacked = (statistics.median(turn[at] for turn in turns) for at in (0, 1))
    params = sum(param.numel() for param in built.model(0).parameters())
    ratio = statistics.median(turn[0] / turn[1] for turn in turns)
    return StepCost(name, width, image, params, trials, solo * 1e3, stacked * 1e3, ratio)


def _seconds(train: Callable[[int], torch.Tensor], steps: int) -> float:
    """Return the seconds of a step; the first fills the caches and is not timed."""
    train(BATCH)
    started = time.perf_counter()
    train((1 + steps) * BATCH).sum().item()
    return (time.perf_counter() - started) / steps


def table(costs: Sequence[StepCost]) -> Table:
    """Return the table of all networks."""
    found = Table("network", title=f"One thread, batches of {BATCH}: a step of one trial")
    for heading in ("width", "image", "params", "trials", "solo ms", "stacked ms", "times faster"):
        found.add_column(heading, justify="right")
    for one in costs:
        found.add_row(
            one.network,
            f"{one.width:g}",
            "x".join(map(str, one.image)),
            f"{one.params:,}",
            str(one.trials),
            f"{one.solo_ms:.1f}",
            f"{one.stacked_ms:.1f}",
            f"{one.ratio:.2f}",
        )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all networks, print the table, and write the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--repeats", type=int, default=3, help="turns of both ways")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--quick", action="store_true", help="small networks, one step")
    parser.add_argument("--large", action="store_true", help="the full width on large images, too")
    given = parser.parse_args(argv)
    about, threads = environment(), torch.get_num_threads()
    torch.set_num_threads(1)
    costs: list[StepCost] = []
    try:
        for image, width, name in product(IMAGES, WIDTHS, NETWORKS):
            if given.quick and (image, width) != (IMAGES[0], WIDTHS[0]):
                continue
            if (image, width) == (IMAGES[-1], WIDTHS[-1]) and not given.large:
                continue
            costs.append(measured(name, width, image, steps=1 if given.quick else 4, repeats=given.repeats))
            if given.json:  # as it goes: the large ones take minutes
                document = {
                    "environment": {**about, "threads": 1},
                    "networks": [asdict(one) for one in costs],
                }
                given.json.write_text(json.dumps(document, indent=1) + "\n")
    finally:
        torch.set_num_threads(threads)
    Console(width=max(110, Console().width)).print(table(costs))


if __name__ == "__main__":
    main()
