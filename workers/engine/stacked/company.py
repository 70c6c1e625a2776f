"""A probe of the stack's promise that a trial's bits do not depend on its company.

The promise rests on the kernels that torch calls. They differ by machine and by library, and so it is tried
out once a process: networks of a stack are run forward and backward by its own layers, in companies
of several sizes and with their memory in several places, and all that they give is compared to the bit.

The shapes are those that give a kernel away: narrow ones, as the tail of a product is where a library changes
its kernels, with batches that are whole in its tiles and batches that are not. On a Zen 3 CPU, MKL without
its reproducible mode (see `whichopt.workers.products`) fails at products with three columns and with one, and
at no wider product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whichopt.workers.engine.stacked.chain import KNOWN
from whichopt.workers.engine.stacked.layers import Layer

NETWORKS = 33
"""In the largest company."""

COMPANIES = ((3, 0), (0, 1, 2, 3, 4), tuple(range(16)), tuple(reversed(range(NETWORKS))))
"""The networks that share a stack."""

FEW_COMPANIES = ((3, 0), (4, 3, 2, 1, 0))

GAPS = (0, 1, 5)
"""Numbers between the params of a network and those of the next: they move where each begins in memory."""


@dataclass(frozen=True)
class Case:
    """A layer, the shape of one network's inputs, and the companies that are compared."""

    module: nn.Module
    inputs: tuple[int, ...]
    companies: tuple[tuple[int, ...], ...] = COMPANIES


def cases() -> Iterator[Case]:
    """The layers of the probe. The two convolutions are computed in the stack's two ways."""
    for batch in (16, 18, 48, 100):  # 18 and 100 are what evaluations have
        yield Case(nn.Linear(13, 3), (batch, 13))
    yield Case(nn.Linear(8, 1), (13, 8))
    yield Case(nn.Linear(64, 10), (64, 64))
    yield Case(nn.Conv2d(6, 1, 3, padding=1), (3, 6, 7, 5))
    yield Case(nn.Conv2d(5, 3, 5, stride=(1, 2), padding=(3, 0), bias=False), (2, 5, 6, 6))
    yield Case(nn.Conv2d(17, 1, (3, 2), stride=(1, 2)), (4, 17, 5, 8))
    yield Case(nn.Conv2d(16, 32, 3, padding=1), (16, 16, 8, 8), FEW_COMPANIES)  # large: one at a time


def company_changes_no_bit(device: str) -> bool:
    """Return whether results are the same to the bit on this device whatever company a trial has."""
    return all(agrees(case, device) for case in cases())


@torch.no_grad()
def agrees(case: Case, device: str = "cpu") -> bool:
    """Tell if each network of a stack of this layer gets the same bits in every company and place."""
    layer, networks = _layer(case.module), 1 + max(map(max, case.companies))
    draw = torch.Generator().manual_seed(0)
    params = [torch.randn(networks, *p.shape, generator=draw).to(device) for p in case.module.parameters()]
    x = torch.randn(networks, *case.inputs, generator=draw).to(device)
    y, _ = layer.forward(x, params, None)
    g = torch.randn(y.shape, generator=draw).to(device)
    together = _through(layer, params, x, g)
    for rows in map(list, case.companies):
        for gap in GAPS:
            part = _through(layer, _spread([p[rows] for p in params], gap), x[rows], g[rows])
            if not all(
                torch.equal(alone, wanted[rows]) for alone, wanted in zip(part, together, strict=True)
            ):
                return False
    return True


def _layer(module: nn.Module) -> Layer:
    layer = KNOWN[type(module)](module)
    assert layer is not None
    return layer


def _through(layer: Layer, params: Sequence[Tensor], x: Tensor, g: Tensor) -> list[Tensor]:
    """The outputs, the gradient of the inputs and those of the params, from the gradient of the outputs."""
    grads = [torch.empty(p.shape, device=p.device) for p in params]
    y, kept = layer.forward(x, params, None)
    below = layer.backward(g.clone(), kept, params, grads, True)
    assert below is not None
    return [y, below, *grads]


def _spread(params: Sequence[Tensor], gap: int) -> list[Tensor]:
    """The params as a stack holds them: those of a network side by side, `gap` numbers before and between."""
    sizes = [p[0].numel() for p in params]
    room = params[0].new_zeros(len(params[0]), sum(sizes) + gap * (len(sizes) + 1))
    placed, start = [], gap
    for p, size in zip(params, sizes, strict=True):
        placed.append(torch.unflatten(room[:, start : start + size], 1, p.shape[1:]).copy_(p))
        start += size + gap
    return placed
