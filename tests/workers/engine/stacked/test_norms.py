"""Layers of a person's own networks in a stack: each network gets what it would get alone, in any company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from whichopt.workers.engine.stacked.chain import Chain, chain_of
from whichopt.workers.workload.layers import Residual

NETWORKS = 33
COMPANIES = ((3, 0), (0, 1, 2, 3, 4), tuple(range(16)), tuple(reversed(range(NETWORKS))))
FLAT, IMAGES = (7, 6), (5, 4, 6, 5)
"""Shapes of one network's inputs: the batch comes first."""


def _block(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(Residual(*modules))


CASES: dict[str, tuple[nn.Module, Sequence[int]]] = {
    "batch norm": (nn.BatchNorm1d(6), FLAT),
    "batch norm of few": (nn.BatchNorm1d(6), (2, 6)),
    "batch norm of images": (nn.BatchNorm2d(4), IMAGES),
    "batch norm of one image": (nn.BatchNorm2d(4), (1, 4, 3, 3)),
    "layer norm": (nn.LayerNorm(6), FLAT),
    "layer norm of images": (nn.LayerNorm([4, 6, 5]), IMAGES),
    "layer norm of the last": (nn.LayerNorm(5), IMAGES),
    "group norm": (nn.GroupNorm(3, 6), FLAT),
    "group norm of images": (nn.GroupNorm(2, 4), IMAGES),
    "silu": (nn.SiLU(), FLAT),
    "silu of images": (nn.SiLU(), IMAGES),
    "average": (nn.AvgPool2d(2), IMAGES),
    "average of overlaps": (nn.AvgPool2d(3, stride=2, padding=1), IMAGES),
    "residual": (_block(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU()), FLAT),
    "residual without params": (_block(nn.ReLU(), nn.Tanh()), FLAT),
    "residual of images": (
        _block(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)),
        IMAGES,
    ),
    "residual in residual": (
        _block(nn.Linear(6, 6), Residual(nn.LayerNorm(6), nn.GELU()), nn.Linear(6, 6), nn.SiLU()),
        FLAT,
    ),
    "between": (
        nn.Sequential(
            nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)
        ),
        IMAGES,
    ),
}

every_case = pytest.mark.parametrize(("module", "inputs"), CASES.values(), ids=CASES)


@dataclass(frozen=True)
class Found:
    """What comes of one forward and backward in training, and of an evaluation after it."""

    outputs: Tensor
    below: Tensor | None
    grads: list[Tensor]
    buffers: list[Tensor]
    evaluated: Tensor


def _chain(module: nn.Module) -> Chain:
    chain = chain_of(module)
    assert chain is not None
    return chain


def _stack(module: nn.Module, n: int, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Draw params and buffers of n networks."""
    params = [torch.randn(n, *param.shape, dtype=dtype) for param in module.parameters()]
    buffers = [
        torch.rand(n, *buffer.shape, dtype=dtype) + 0.5
        if buffer.is_floating_point()
        else torch.zeros(n, *buffer.shape, dtype=buffer.dtype)
        for buffer in module.buffers()
    ]
    return params, buffers


def _through(
    chain: Chain,
    params: Sequence[Tensor],
    buffers: Sequence[Tensor],
    x: Tensor,
    g: Tensor,
    *,
    further: bool = True,
) -> Found:
    kept_buffers = [buffer.clone() for buffer in buffers]
    grads = [torch.full_like(param, torch.nan) for param in params]
    y, kept = chain.forward(x, [*params, *kept_buffers], ())
    below = chain.backward(g.clone(), kept, params, grads, further)
    evaluated, _ = chain.forward(x, [*params, *kept_buffers], None)
    return Found(y, below, grads, kept_buffers, evaluated)


def _alone(
    module: nn.Module, params: Sequence[Tensor], buffers: Sequence[Tensor], x: Tensor, g: Tensor
) -> Found:
    """The same of one network, by the module itself."""
    own = dict(zip((name for name, _ in module.named_parameters()), params, strict=True))
    leaves = {name: param.clone().requires_grad_() for name, param in own.items()}
    behind = dict(
        zip((name for name, _ in module.named_buffers()), (b.clone() for b in buffers), strict=True)
    )
    x = x.clone().requires_grad_()
    module.train()
    y = torch.func.functional_call(module, {**leaves, **behind}, (x,))
    below, *grads = torch.autograd.grad(y, [x, *leaves.values()], g)
    module.eval()
    evaluated = torch.func.functional_call(module, {**own, **behind}, (x.detach(),))
    return Found(y.detach(), below, list(grads), list(behind.values()), evaluated.detach())


@every_case
def test_each_network_gets_what_it_would_get_alone(module: nn.Module, inputs: Sequence[int]) -> None:
    """In float64, so that another order of sums, or another formula, is far from a mistake."""
    torch.manual_seed(0)
    module = module.double()
    chain, n = _chain(module), 3
    params, buffers = _stack(module, n, torch.float64)
    x = torch.randn(n, *inputs, dtype=torch.float64)
    g = torch.randn_like(chain.forward(x, [*params, *(b.clone() for b in buffers)], ())[0])
    found = _through(chain, params, buffers, x, g)
    for row in range(n):
        wanted = _alone(module, [p[row] for p in params], [b[row] for b in buffers], x[row], g[row])
        assert found.below is not None
        for ours, theirs in zip(
            [found.outputs, found.below, *found.grads, *found.buffers, found.evaluated],
            [wanted.outputs, wanted.below, *wanted.grads, *wanted.buffers, wanted.evaluated],
            strict=True,
        ):
            torch.testing.assert_close(ours[row], theirs, rtol=1e-9, atol=1e-9)


@every_case
def test_a_gradient_nobody_asks_for_changes_none_of_the_others(
    module: nn.Module, inputs: Sequence[int]
) -> None:
    torch.manual_seed(0)
    module = module.float()
    chain = _chain(module)
    params, buffers = _stack(module, 4, torch.float32)
    x = torch.randn(4, *inputs)
    g = torch.randn_like(chain.forward(x, [*params, *(b.clone() for b in buffers)], ())[0])
    few, all_of_it = (_through(chain, params, buffers, x, g, further=further) for further in (False, True))
    assert few.below is None
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(few.grads, all_of_it.grads, strict=True))


@pytest.mark.bits
@every_case
def test_company_changes_no_bit(module: nn.Module, inputs: Sequence[int]) -> None:
    torch.manual_seed(0)
    module = module.float()
    chain = _chain(module)
    params, buffers = _stack(module, NETWORKS, torch.float32)
    x = torch.randn(NETWORKS, *inputs)
    g = torch.randn_like(chain.forward(x, [*params, *(b.clone() for b in buffers)], ())[0])
    whole = _through(chain, params, buffers, x, g)
    for rows in map(list, COMPANIES):
        part = _through(chain, [p[rows] for p in params], [b[rows] for b in buffers], x[rows], g[rows])
        assert whole.below is not None
        assert part.below is not None
        for ours, theirs in zip(
            [part.outputs, part.below, *part.grads, *part.buffers, part.evaluated],
            [whole.outputs, whole.below, *whole.grads, *whole.buffers, whole.evaluated],
            strict=True,
        ):
            assert torch.equal(ours, theirs[rows])


@pytest.mark.parametrize(
    "module",
    [
        nn.BatchNorm1d(3, affine=False),
        nn.BatchNorm1d(3, track_running_stats=False),
        nn.BatchNorm1d(3, momentum=None),
        nn.LayerNorm(3, elementwise_affine=False),
        nn.LayerNorm(3, bias=False),
        nn.GroupNorm(1, 3, affine=False),
        nn.Softmax(dim=1),
        Residual(nn.Softmax(dim=1)),
    ],
    ids=str,
)
def test_what_no_layer_knows_is_left_to_vmap(module: nn.Module) -> None:
    assert chain_of(nn.Sequential(nn.Linear(3, 3), module)) is None
