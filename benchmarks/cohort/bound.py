"""Row (e), the bound: the matrix products of the same trials at the speed that this machine's cores reach.

A convolution counts as the product of its unfolded input (im2col) with its weights. Nothing else counts: no
activation, no loss, no update of a param, no call. So no row that does the same products in float32 on these
cores can be faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from benchmarks.cohort.runs import Outcome
from benchmarks.shared.digits import resolved
from benchmarks.shared.processes import PROCESSES, crew
from whichopt.service.catalog import datasets, models
from whichopt.service.planning.rounds import evaluations
from whichopt.service.spec import ResolvedSpec

SQUARES = (512, 1024, 2048)
"""Sizes of the products by which the peak is measured; the fastest counts."""

MEASURED_S = 0.7
"""For each of them."""


@dataclass(frozen=True)
class Product:
    """(rows, inner) times (inner, columns), for each example in the forward pass."""

    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.columns


def products(spec: ResolvedSpec) -> list[Product]:
    """The forward pass of one example: a product for each layer."""
    entry, data = models.model(spec.cataloged.model.name), datasets.dataset(spec.cataloged.dataset.name)
    options = entry.options(**spec.cataloged.model.options)
    shape = data.shape(data.options(**spec.cataloged.dataset.options))
    match options:
        case models.MLPOptions():
            widths = (shape.features, *options.hidden, shape.outputs)
        case models.CNNOptions():
            assert shape.image is not None
            widths = (options.channels[-1], shape.outputs)
            return [*_convolutions(shape.image, options.channels), Product(1, *widths)]
        case _:
            widths = (shape.features, shape.outputs)
    return [Product(1, inputs, outputs) for inputs, outputs in pairwise(widths)]


def _convolutions(image: tuple[int, int, int], channels: tuple[int, ...]) -> Iterator[Product]:
    """3x3 with padding: a row for each pixel; the image is halved while it is at least 4 wide and high."""
    first, height, width = image
    for inputs, outputs in pairwise((first, *channels)):
        yield Product(height * width, 9 * inputs, outputs)
        if min(height, width) >= 4:
            height, width = height // 2, width // 2


def example_flops(layers: list[Product]) -> tuple[int, int]:
    """Of one example: forward alone, and forward and backward.

    Backward has two products of the same size for each layer, the gradients of its weights and of its
    input; the first layer needs none of its input.
    """
    forward = sum(layer.flops for layer in layers)
    return forward, 3 * forward - layers[0].flops


def flops(spec: ResolvedSpec) -> int:
    """Of all search trials run to their end: training, and validation after each epoch."""
    forward, both = example_flops(products(spec))
    points = evaluations(spec)
    trial = both * points[-1] + forward * spec.sizes.validation * len(points)
    return trial * spec.asked_trials


def peak() -> float:
    """Floating point operations a second of all cores together, one process and one thread each."""
    with crew(PROCESSES, _prepare) as started:
        _, speeds = started.run()
    return sum(speeds)


def bound(body: dict[str, Any], repeat: int) -> Outcome:
    spec = resolved(body)
    work, speed = flops(spec), peak()
    return Outcome(
        workload=body["name"],
        row="e",
        repeat=repeat,
        seconds=work / speed,
        trials=spec.asked_trials,
        note=f"{work / 1e9:.1f} GFLOP at {speed / 1e9:.0f} GFLOP/s",
        details={"flops": work, "flops_per_second": speed, "layers": [vars(x) for x in products(spec)]},
    )


def _prepare() -> Callable[[], float]:
    torch.set_num_threads(1)
    _speed(SQUARES[0], 0.1)
    return lambda: max(_speed(size, MEASURED_S) for size in SQUARES)


def _speed(size: int, seconds: float) -> float:
    """The speed of products of square matrices, the fastest of those that fit into `seconds`."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    product = torch.empty(size, size)
    fastest, begun = 0.0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        started = time.perf_counter()
        torch.mm(a, b, out=product)
        fastest = max(fastest, 2 * size**3 / (time.perf_counter() - started))
    return fastest
