"""Bit for bit what adabelief-pytorch 0.2.1 does, wherever that is sane.

Left out, as ours differs there on purpose: amsgrad with rectify (the reference ignores the maximum), bfloat16
state, complex parameters, groups that join later with betas of their own.
"""

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief

reference = pytest.importorskip("adabelief_pytorch")

FEW = [(), (17, 33)]  # make_params adds one with strides
MANY = [(0,), (1,), (7,), (3, 1, 5), (2, 3, 4), (1031,)]  # empty, shorter and longer than a vector register
STEPS = 120

Shapes = Sequence[tuple[int, ...]]
DECAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "decoupled": {"weight_decay": 1e-2},
    "coupled": {"weight_decay": 1e-2, "decoupled_weight_decay": False},
    "fixed": {"weight_decay": 1e-2, "fixed_decay": True},
}


def make_params(dtype: torch.dtype, shapes: Shapes) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    params = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    params.append(torch.randn((6, 11), generator=generator, dtype=torch.float64).to(dtype).t())
    return [p.requires_grad_() for p in params]


def make_gradients(params: list[Tensor]) -> Iterator[list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        yield [torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype) for p in params]


def make_reference(params: Iterable[Any], **settings: Any) -> torch.optim.Optimizer:
    settings = {"rectify": False, "weight_decouple": settings.pop("decoupled_weight_decay", True)} | settings
    with contextlib.redirect_stdout(io.StringIO()):  # it prints even when it is told not to
        optimizer = reference.AdaBelief(params, print_change_log=False, **settings)
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def assert_same_bits(actual: Tensor, expected: Tensor) -> None:
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[actual.element_size()]
    assert actual.dtype == expected.dtype
    assert torch.equal(
        actual.detach().contiguous().view(integer), expected.detach().contiguous().view(integer)
    )


def assert_same_run(dtype: torch.dtype, shapes: Shapes = FEW, **settings: Any) -> None:
    ours, theirs = make_params(dtype, shapes), make_params(dtype, shapes)
    optimizer, expected = AdaBelief(ours, **settings), make_reference(theirs, **settings)
    for gradients in make_gradients(ours):
        for p, q, g in zip(ours, theirs, gradients, strict=True):
            p.grad, q.grad = g, g.clone()  # as the reference writes into it
        optimizer.step()
        expected.step()
    for p, q in zip(ours, theirs, strict=True):
        assert_same_bits(p, q)
        state, expected_state = optimizer.state[p], expected.state[q]
        assert state.keys() == expected_state.keys()
        assert state.pop("step").item() == expected_state.pop("step") == STEPS
        for name in state:
            assert_same_bits(state[name], expected_state[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("eps", [1e-8, 1e-16])
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("decay", DECAYS)
def test_same_bits(dtype: torch.dtype, eps: float, rectify: bool, decay: str) -> None:
    assert_same_run(dtype, lr=3e-3, eps=eps, rectify=rectify, **DECAYS[decay])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("eps", [1e-8, 1e-16])
@pytest.mark.parametrize("decay", DECAYS)
def test_same_bits_with_amsgrad(dtype: torch.dtype, eps: float, decay: str) -> None:
    assert_same_run(dtype, lr=3e-3, eps=eps, betas=(0.8, 0.9), amsgrad=True, **DECAYS[decay])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_same_bits_in_many_shapes(dtype: torch.dtype) -> None:
    assert_same_run(dtype, MANY, weight_decay=1e-2)


@pytest.mark.parametrize("betas", [(0.5, 0.9), (0.95, 0.5), (0.9, 0.99)])
@pytest.mark.parametrize("rectify", [False, True])
def test_same_bits_with_other_betas(betas: tuple[float, float], rectify: bool) -> None:
    # With beta2 = 0.5 a rectified run is SGD from the first step to the last.
    assert_same_run(torch.float32, lr=1e-2, betas=betas, rectify=rectify)


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("decay", DECAYS)
def test_same_bits_with_float16(rectify: bool, decay: str) -> None:
    # The reference keeps float32 state here too; it only replaces the storage of parameter and gradient.
    assert_same_run(torch.float16, lr=3e-3, rectify=rectify, **DECAYS[decay])


def test_same_bits_with_groups_and_a_schedule() -> None:
    ours, theirs = make_params(torch.float32, MANY), make_params(torch.float32, MANY)

    def groups(params: list[Tensor]) -> list[dict[str, Any]]:
        first = {"params": params[:2], "lr": 1e-2, "weight_decay": 0.1}
        return [first, {"params": params[2:], "betas": (0.5, 0.9)}]

    optimizers = [AdaBelief(groups(ours)), make_reference(groups(theirs))]
    schedules = [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97) for optimizer in optimizers]
    for gradients in make_gradients(ours):
        for p, q, g in zip(ours, theirs, gradients, strict=True):
            p.grad, q.grad = g, g.clone()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
    for p, q in zip(ours, theirs, strict=True):
        assert_same_bits(p, q)
