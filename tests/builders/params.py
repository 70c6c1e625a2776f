"""What the conformance tests share: settings, parameters of every layout, and how results are compared."""

import copy
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from adabelief import AdaBelief

Setting = dict[str, Any]

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
            pytest.mark.filterwarnings("ignore:.*capturable=True.*without CUDA graph:UserWarning"),
        ],
    ),
]

COMPILER = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
needs_compiler = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no {COMPILER}")

LOOP: Setting = {"foreach": False}
FOREACH: Setting = {"foreach": True}
FUSED: Setting = {"fused": True}
PATHS = [
    pytest.param(LOOP, id="for-loop"),
    pytest.param(FOREACH, id="foreach"),
    pytest.param(FUSED, id="fused", marks=needs_compiler),
]

SETTINGS: dict[str, Setting] = {
    "default": {},
    "lr": {"lr": 0.01},
    "decoupled decay": {"weight_decay": 0.1},
    # With a larger eps, as the decay may cancel a gradient to its last digit, which is then all of it.
    "coupled decay": {"weight_decay": 0.1, "decoupled_weight_decay": False, "eps": 1e-8},
    "fixed decay": {"weight_decay": 1e-4, "fixed_decay": True},
    "amsgrad": {"amsgrad": True, "weight_decay": 0.1},
    "maximize": {"maximize": True, "weight_decay": 0.1},
    "betas, eps": {"betas": (0.5, 0.9), "eps": 1e-8},
    # Rectified from step 6 on; at beta2 = 0.6 never.
    "rectify": {"rectify": True},
    "rectify, skip": {"rectify": True, "rectify_fallback": "skip"},
    "rectify, never": {"rectify": True, "betas": (0.9, 0.6)},
    "rectify, amsgrad": {"rectify": True, "amsgrad": True, "weight_decay": 0.1},
    "everything": {
        "lr": 0.02,
        "betas": (0.8, 0.95),
        "eps": 1e-8,
        "weight_decay": 0.1,
        "decoupled_weight_decay": False,
        "rectify": True,
        "rectify_fallback": "skip",
        "amsgrad": True,
        "maximize": True,
    },
    "tensor lr": {"lr": torch.tensor(0.01)},
    "tensor lr, rectify": {"lr": torch.tensor([0.01]), "rectify": True, "weight_decay": 0.1},
    "capturable": {"capturable": True},
    "capturable, everything": {
        "lr": torch.tensor(0.01),
        "weight_decay": 0.1,
        "rectify": True,
        "amsgrad": True,
        "capturable": True,
    },
}
PLAIN_SETTINGS = {name: setting for name, setting in SETTINGS.items() if "capturable" not in setting}


def build(params: Iterable[Any], *settings: Setting) -> AdaBelief:
    """An optimizer with these settings, later ones over earlier ones, and no tensor shared with them."""
    merged: Setting = {}
    for setting in settings:
        merged |= copy.deepcopy(setting)
    return AdaBelief(list(params), **merged)


def noise(p: Tensor, seed: int) -> Tensor:
    """A standard normal gradient for p."""
    wide = torch.complex128 if p.is_complex() else torch.float64
    return torch.randn(p.shape, generator=torch.Generator().manual_seed(seed), dtype=wide).to(
        p.device, p.dtype
    )


def make_params(
    *shapes: tuple[int, ...], dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> list[Any]:
    """Normal parameters; each call makes the same ones."""
    empty = [torch.empty(shape, dtype=dtype, device=device) for shape in shapes]
    return [noise(p, -1 - i).requires_grad_() for i, p in enumerate(empty)]


def make_zoo(*, dtype: torch.dtype = torch.float32, device: str = "cpu", large: bool = False) -> list[Any]:
    """Parameters of every size and layout, some of a register's size and a bit more, and if asked for ..."""
    zoo = make_params((), (0,), (1,), (2,), (3,), (17,), (1031,), (20_011,), dtype=dtype, device=device)
    if large:  # ... one longer than any slice of a step, and small ones that are more than any pack
        zoo += make_params((600_011,), *[(16_000,)] * 18, dtype=dtype, device=device)
    base = noise(torch.empty(2, 3, 4, 5, dtype=dtype, device=device), -100)
    gaps = noise(torch.empty(9, 8, dtype=dtype, device=device), -101)
    strided = [
        gaps.clone().t(),
        base.to(memory_format=torch.channels_last),
        gaps.clone()[:, ::2],
        gaps.clone().flatten()[3:30],  # not aligned to a register
    ]
    return [*zoo, *(x.detach().requires_grad_() for x in strided)]


def params_of(optimizer: Optimizer) -> list[Any]:
    return list(chain.from_iterable(group["params"] for group in optimizer.param_groups))


def go_on(optimizer: Optimizer, first: int, last: int) -> None:
    """Take the steps from ``first`` on, before ``last``, each with gradients of its own."""
    for t in range(first, last):
        for i, p in enumerate(params_of(optimizer)):
            p.grad = noise(p, 1000 * t + i)
        optimizer.step()


def states(optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
    """All state tensors, in the order of the parameters, and the parameters themselves."""
    for i, p in enumerate(params_of(optimizer)):
        yield f"param {i}", p.detach()
        for name, value in optimizer.state.get(p, {}).items():
            yield f"{name} of param {i}", value


def assert_same_bits(actual: Optimizer, expected: Optimizer) -> None:
    """Parameters and state are the same to the bit, signs of zero included."""
    for (name, x), (other, y) in zip(states(actual), states(expected), strict=True):
        assert (name, x.dtype, x.shape) == (other, y.dtype, y.shape)
        x, y = (torch.view_as_real(z.resolve_conj()) if z.is_complex() else z for z in (x, y))
        assert torch.equal(x, y), name
        assert torch.equal(x.signbit(), y.signbit()), name


def ulp(x: Tensor) -> Tensor:
    """The distance to the next number of x's dtype."""
    info = torch.finfo(x.dtype)
    _, exponent = torch.frexp(x.double().abs().clamp(min=info.tiny))
    return info.eps * 2.0 ** (exponent - 1)


def assert_close_after_one_step(actual: Optimizer, expected: Optimizer, lr: float) -> None:
    """Equal but for the roundings of one step, which began from the same values.

    A fused multiply-add or another order of the factors moves the last digits of each value. In m and in
    g - m these count against terms that may cancel, so a moment's error is bounded against the largest of
    its kind; divided by the denominator it is mostly some 1e-6, and at most 2e-3, of lr.
    """
    largest: dict[str, float] = {}
    for name, y in states(expected):
        kind = name.split()[0]
        largest[kind] = max(largest.get(kind, 0.0), y.abs().max().item() if y.numel() else 0.0)
    for (name, x), (other, y) in zip(states(actual), states(expected), strict=True):
        assert (name, x.dtype, x.shape) == (other, y.dtype, y.shape)
        x, y = (torch.view_as_real(z.resolve_conj()) if z.is_complex() else z for z in (x.to(y.device), y))
        kind = name.split()[0]
        if kind == "step":
            assert torch.equal(x, y), name
            continue
        bound = 4 * ulp(y) + 2e-3 * lr if kind == "param" else 8 * torch.finfo(y.dtype).eps * largest[kind]
        assert bool(((x.double() - y.double()).abs() <= bound).all()), name


@torch.no_grad()
def realign(actual: Optimizer, expected: Optimizer) -> None:
    """Give the one all values of the other, in place."""
    for (_, x), (_, y) in zip(states(actual), states(expected), strict=True):
        x.copy_(y)


class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the calls of operators by name, such as ``sqrt``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: dict[str, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        self.calls[name] = self.calls.get(name, 0) + 1
        return func(*args, **(kwargs or {}))
