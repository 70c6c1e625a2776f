"""The optimizers of a stack: each way of stepping is its class, to the bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adabelief.steps.compiled_kernel import kernel
from tests.builders.params import needs_compiler
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.optimizers import OPTIMIZERS, optimizer
from whichopt.service.space import Categorical, Config, Float, Int
from whichopt.workers.engine import optimizers
from whichopt.workers.engine.stacked.adabelief_steps import BLOCK, adabelief_steps
from whichopt.workers.engine.stacked.kernel_steps import KernelSteps
from whichopt.workers.engine.stacked.optimizers import STEPS
from whichopt.workers.engine.stacked.rows import Row, RowGroup, Steps

SHAPES = {
    "small": [(13, 7), (13,), (1, 13), ()],
    "in-blocks": [(200, 100), (5,)],
    "in-pieces": [(64, 2, 16, 130), (BLOCK + 3,)],
}
"""Of params: several rows fit a block; two do; not one does, though each side is short."""


def _config(entry: OptimizerEntry, draw: np.random.Generator) -> Config:
    """Somewhere in the space, switches and all."""
    found = dict(entry.default)
    for name, dimension in entry.space.items():
        share = draw.random()
        match dimension:
            case Categorical():
                found[name] = dimension.choices[int(share * len(dimension.choices))]
            case Float(scale="log"):
                found[name] = math.exp(
                    math.log(dimension.low) + share * math.log(dimension.high / dimension.low)
                )
            case Float() | Int():
                found[name] = dimension.low + share * (dimension.high - dimension.low)
    return found


class _Stacked:
    """Rows of params side by side, as a stack has them."""

    def __init__(self, starts: Sequence[Sequence[Tensor]]) -> None:
        self.flat = torch.stack([torch.cat([start.flatten() for start in row]) for row in starts])
        self.joined = torch.zeros_like(self.flat)
        shapes = [start.shape for start in starts[0]]
        parts = torch.split(self.flat, [shape.numel() for shape in shapes], dim=1)
        self.params = [part.view(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
        self.grads = [torch.zeros(param.shape) for param in self.params]
        self.rows = [
            Row(
                params=[param[i] for param in self.params],
                grads=[grad[i] for grad in self.grads],
                joined_params=self.flat[i],
                joined_grads=self.joined[i],
            )
            for i in range(len(starts))
        ]

    def step(self, steps: Steps, grads: Sequence[Sequence[Tensor]], shares: Sequence[float]) -> None:
        for row, wanted in zip(self.rows, grads, strict=True):
            for grad, new in zip(row.grads, wanted, strict=True):
                grad.copy_(new)
            if steps.joined:
                row.joined_grads.copy_(torch.cat([new.flatten() for new in wanted]))
        steps.step(shares)


class _Alone:
    """The real classes over params of their own."""

    def __init__(
        self,
        entry: OptimizerEntry,
        starts: Sequence[Sequence[Tensor]],
        configs: Sequence[Config],
        *,
        compiled: bool = False,
    ) -> None:
        self.params = [[nn.Parameter(start.clone()) for start in row] for row in starts]
        self.optimizers = [
            optimizers.build(entry.name, config, params, compiled=compiled)
            for config, params in zip(configs, self.params, strict=True)
        ]
        self.lrs = [[group["lr"] for group in own.param_groups] for own in self.optimizers]

    def step(self, grads: Sequence[Sequence[Tensor]], shares: Sequence[float]) -> None:
        for i, own in enumerate(self.optimizers):
            for group, lr in zip(own.param_groups, self.lrs[i], strict=True):
                group["lr"] = lr * shares[i]
            for param, grad in zip(self.params[i], grads[i], strict=True):
                param.grad = grad.clone()
            own.step()


def _gradients(shapes: Sequence[tuple[int, ...]], rows: int, seed: int) -> Iterator[list[list[Tensor]]]:
    """Of many sizes, with zeros among them."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield [
            [
                torch.randn(shape, generator=generator)
                * torch.exp(3 * torch.randn(shape, generator=generator))
                * (torch.rand(shape, generator=generator) > 0.1)
                for shape in shapes
            ]
            for _ in range(rows)
        ]


def _same(stacked: _Stacked, alone: _Alone) -> None:
    for row, params in zip(stacked.rows, alone.params, strict=True):
        for found, wanted in zip(row.params, params, strict=True):
            assert torch.equal(found, wanted.detach())


STACKABLE = [entry for entry in OPTIMIZERS if entry.stackable]

every_way = pytest.mark.parametrize(
    ("entry", "compiled"),
    [
        *[pytest.param(entry, False, id=entry.name) for entry in STACKABLE],
        *[
            pytest.param(entry, True, id=f"{entry.name}-compiled", marks=needs_compiler)
            for entry in STACKABLE
            if entry.stepping.compiled
        ],
    ],
)


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@every_way
def test_every_row_steps_as_its_class(
    entry: OptimizerEntry, compiled: bool, shapes: list[tuple[int, ...]]
) -> None:
    """With configs of their own, a learning rate that moves, one that is 0 on the way, and a break after
    which rows leave."""
    draw = np.random.default_rng(0)
    configs = [entry.default, *(_config(entry, draw) for _ in range(6))]
    generator = torch.Generator().manual_seed(1)
    starts = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in configs]
    stacked, alone = _Stacked(starts), _Alone(entry, starts, configs, compiled=compiled)
    steps = STEPS[entry.stepping.rows](RowGroup(entry, configs, stacked.rows, compiled=compiled))
    gradients = _gradients(shapes, len(configs), seed=2)
    for number in range(9):
        shares = [0.0 if number == 4 and i == 2 else 1 - 0.1 * number for i in range(len(configs))]
        grads = next(gradients)
        stacked.step(steps, grads, shares)
        alone.step(grads, shares)
        _same(stacked, alone)
    kept = [1, 2, 5]
    states = copy.deepcopy(steps.states())
    left = _Stacked([stacked.rows[i].params for i in kept])
    own = [configs[i] for i in kept], left.rows, [states[i] for i in kept]
    steps = STEPS[entry.stepping.rows](RowGroup(entry, *own, compiled=compiled))
    for name in ("params", "optimizers", "lrs"):
        setattr(alone, name, [getattr(alone, name)[i] for i in kept])
    for grads in (next(gradients)[:3] for _ in range(3)):
        left.step(steps, grads, [0.5, 0.25, 1.0])
        alone.step(grads, [0.5, 0.25, 1.0])
        _same(left, alone)


def test_steps_that_spare_the_class() -> None:
    """What the executor is fast with; the others go through their class."""
    ways = {entry.name: STEPS[entry.stepping.rows] for entry in STACKABLE}
    assert ways["adabelief"] is adabelief_steps
    assert {ways[name] for name in ("sgd", "adam", "adamw")} == {KernelSteps}


@needs_compiler
def test_a_compiled_row_is_a_call_of_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or one for each param, where joining the gradients would be another trip to memory; without a kernel,
    what the class does then."""
    entry = optimizer("adabelief")
    run = kernel(torch.float32, torch.float32, torch.device("cpu"), False)
    assert run is not None
    calls: list[int] = []

    def counted(tensors: list[Tensor]) -> None:
        calls.append(tensors[0].numel())
        run(tensors)

    monkeypatch.setattr("adabelief.steps.compiled_kernel.kernel", lambda *_: counted)
    wanted = {"small": [118, 118], "in-pieces": [2048 * 130, BLOCK + 3] * 2}
    for name, sizes in wanted.items():
        stacked = _Stacked([[torch.ones(shape) for shape in SHAPES[name]] for _ in range(2)])
        steps = STEPS[entry.stepping.rows](RowGroup(entry, [entry.default] * 2, stacked.rows, compiled=True))
        calls.clear()
        stacked.step(steps, next(_gradients(SHAPES[name], 2, seed=1)), [1.0, 1.0])
        assert calls == sizes
    monkeypatch.setattr("adabelief.steps.compiled_kernel.kernel", lambda *_: None)
    starts = [[torch.ones(shape) for shape in SHAPES["small"]] for _ in range(2)]
    stacked, alone = _Stacked(starts), _Alone(entry, starts, [entry.default] * 2)
    steps = STEPS[entry.stepping.rows](RowGroup(entry, [entry.default] * 2, stacked.rows, compiled=True))
    grads = next(_gradients(SHAPES["small"], 2, seed=1))
    stacked.step(steps, grads, [1.0, 1.0])
    alone.step(grads, [1.0, 1.0])
    _same(stacked, alone)


def test_a_row_that_is_lost_harms_no_other() -> None:
    """Rows of nan and inf beside one that is sound, for each way of stepping."""
    for entry in (next(entry for entry in STACKABLE if entry.stepping.rows == way) for way in STEPS):
        shapes = SHAPES["small"]
        starts = [[torch.ones(shape) for shape in shapes] for _ in range(3)]
        stacked, alone = _Stacked(starts), _Alone(entry, starts[1:2], [entry.default])
        steps = STEPS[entry.stepping.rows](RowGroup(entry, [entry.default] * 3, stacked.rows))
        for _ in range(3):
            good = [torch.full(shape, 0.5) for shape in shapes]
            bad = [torch.full(shape, math.nan) for shape in shapes]
            worse = [torch.full(shape, math.inf) for shape in shapes]
            stacked.step(steps, [bad, good, worse], [1.0] * 3)
            alone.step([good], [1.0])
        for found, wanted in zip(stacked.rows[1].params, alone.params[0], strict=True):
            assert torch.equal(found, wanted.detach())


@pytest.mark.parametrize("entry", STACKABLE, ids=lambda entry: entry.name)
def test_a_row_that_is_lost_on_the_way_stops_nobody(entry: OptimizerEntry) -> None:
    """A gradient that is no number raises in no class, not even in a decomposition of matrices: SOAP's comes
    every 10 steps."""
    shapes = SHAPES["small"]
    starts = [[torch.ones(shape) for shape in shapes] for _ in range(2)]
    stacked, alone = _Stacked(starts), _Alone(entry, starts[:1], [entry.default])
    steps = STEPS[entry.stepping.rows](RowGroup(entry, [entry.default] * 2, stacked.rows))
    gradients = _gradients(shapes, 1, seed=5)
    for number in range(14):
        (good,) = next(gradients)
        lost = [torch.full(shape, math.nan if number >= 3 else 0.5) for shape in shapes]
        stacked.step(steps, [good, lost], [1.0] * 2)
        alone.step([good], [1.0])
    for found, wanted in zip(stacked.rows[0].params, alone.params[0], strict=True):
        assert torch.equal(found, wanted.detach())


def test_joined_params_are_the_params() -> None:
    row = _Stacked([[torch.zeros(2, 2), torch.zeros(3)]]).rows[0]
    row.joined_params.fill_(1.0)
    assert all(bool((param == 1).all()) for param in row.params)
