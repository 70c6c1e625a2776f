"""One result, whichever way the tensors go: one by one or together, whole or in slices, of any layout."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from adabelief import AdaBelief
from tests.builders.params import (
    DEVICES,
    FOREACH,
    FUSED,
    LOOP,
    PATHS,
    PLAIN_SETTINGS,
    SETTINGS,
    Setting,
    assert_close_after_one_step,
    assert_same_bits,
    build,
    go_on,
    make_params,
    make_zoo,
    needs_compiler,
    noise,
    params_of,
    realign,
)

STEPS = 7
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
ALL_DTYPES = [*DTYPES, torch.complex64]

with_plain_settings = pytest.mark.parametrize("setting", PLAIN_SETTINGS.values(), ids=PLAIN_SETTINGS)
on_paths = pytest.mark.parametrize("path", PATHS)
of_dtypes = pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)

# Each dtype, with amsgrad or without, is a kernel, which takes a quarter of a minute to compile. A complex
# parameter takes that of its parts, and three others are compiled anyway.
QUICK = [*product([torch.float32, torch.complex64], [False, True]), (torch.bfloat16, False)]
COMPILED = [
    pytest.param(*kind, marks=() if kind in QUICK else pytest.mark.slow, id=f"{kind[0]}, amsgrad {kind[1]}")
    for kind in product(ALL_DTYPES, [False, True])
]


def set_gradients(t: int, *optimizers: AdaBelief) -> None:
    """The same gradients for all: none at all in step 3, none for every third parameter in 1 and 2."""
    for i, params in enumerate(zip(*map(params_of, optimizers), strict=True)):
        g = None if t == 3 or (t in (1, 2) and i % 3 == 0) else noise(params[0], 1000 * t + i)
        for p in params:
            p.grad = g


def run_side_by_side(optimizers: tuple[AdaBelief, AdaBelief], device: str) -> Iterator[None]:
    """Steps of both, with a parameter of no dimension that joins in step 4; yields after each."""
    for t in range(STEPS):
        if t == 4:
            for optimizer in optimizers:
                dtype = params_of(optimizer)[0].dtype
                late = torch.tensor(0.25, dtype=dtype, device=device, requires_grad=True)
                optimizer.add_param_group({"params": [late], "lr": 0.02})
        set_gradients(t, *optimizers)
        for optimizer in optimizers:
            optimizer.step()
        yield


@pytest.mark.parametrize("device", DEVICES)
@of_dtypes
@with_plain_settings
def test_foreach_is_the_for_loop(device: str, dtype: torch.dtype, setting: Setting) -> None:
    one, other = (build(make_zoo(dtype=dtype, device=device), setting, path) for path in (FOREACH, LOOP))
    for _ in run_side_by_side((one, other), device):
        if device == "cpu":
            assert_same_bits(one, other)
        else:  # whose kernels may round a vector otherwise than a scalar
            assert_close_after_one_step(one, other, lr=float(setting.get("lr", 1e-3)))
            realign(one, other)
    assert len(one.param_groups) == 2


@needs_compiler
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "amsgrad"), COMPILED)
def test_fused_is_the_for_loop_but_for_the_last_digits(
    device: str, dtype: torch.dtype, amsgrad: bool
) -> None:
    for setting in PLAIN_SETTINGS.values():
        if setting.get("amsgrad", False) is amsgrad:
            one, other = (
                build(make_zoo(dtype=dtype, device=device), setting, path) for path in (FUSED, LOOP)
            )
            for _ in run_side_by_side((one, other), device):
                assert_close_after_one_step(one, other, lr=float(setting.get("lr", 1e-3)))
                realign(one, other)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "path", [FOREACH, pytest.param(FUSED, marks=needs_compiler)], ids=["foreach", "fused"]
)
def test_slices_and_packs_and_threads_share_the_work_without_a_seam(
    threads: int, dtype: torch.dtype, path: Setting
) -> None:
    torch.set_num_threads(threads)
    one, other = (
        build(make_zoo(dtype=dtype, large=True), {"weight_decay": 0.1}, way) for way in (path, LOOP)
    )
    for t in range(4):
        set_gradients(t, one, other)
        one.step()
        other.step()
        if path == FOREACH:
            assert_same_bits(one, other)
        else:
            assert_close_after_one_step(one, other, lr=1e-3)
            realign(one, other)


@on_paths
@pytest.mark.parametrize("setting", [{}, SETTINGS["everything"]], ids=["default", "everything"])
def test_storage_stays_and_what_lies_in_gaps_too(path: Setting, setting: Setting) -> None:
    whole = torch.ones(40, 6)
    views = [whole[3:10], whole[12:20, ::2], whole[20:26].t(), whole[30, 2:4]]
    outside = torch.ones_like(whole, dtype=torch.bool)
    for view in (outside[3:10], outside[12:20, ::2], outside[20:26].t(), outside[30, 2:4]):
        view.fill_(False)
    params = [view.detach().requires_grad_() for view in views]
    optimizer = build(params, setting, path)
    go_on(optimizer, 0, 1)
    addresses = [x.data_ptr() for p in params for x in optimizer.state[p].values() if x.dim()]
    go_on(optimizer, 1, 9)  # until the rectified ones, where the first are skipped
    assert [p.data_ptr() for p in params] == [view.data_ptr() for view in views]
    assert [x.data_ptr() for p in params for x in optimizer.state[p].values() if x.dim()] == addresses
    assert torch.equal(whole[outside], torch.ones(int(outside.sum())))
    assert not torch.eq(whole[~outside], 1).any()


LAYOUTS = ["contiguous", "channels last", "turned around", "with gaps", "one for all"]


def layouts(x: Tensor) -> dict[str, Tensor]:
    """The values of x, of four dimensions, in memory of every order; the last only the first value."""
    gaps = torch.zeros(*x.shape, 2, dtype=x.dtype)
    gaps[..., 1] = x
    return {
        "contiguous": x.clone(),
        "channels last": x.clone(memory_format=torch.channels_last),
        "turned around": x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
        "with gaps": gaps[..., 1],
        "one for all": x[:1, :1, :1, :1].clone().expand_as(x),
    }


@on_paths
@pytest.mark.parametrize("setting", [{}, SETTINGS["everything"]], ids=["default", "everything"])
def test_layout_of_parameter_and_gradient_does_not_matter(path: Setting, setting: Setting) -> None:
    theta = noise(torch.empty(2, 3, 4, 5), 0)
    for of_p, of_g in product(LAYOUTS[:-1], LAYOUTS):
        p, q = layouts(theta)[of_p].requires_grad_(), theta.clone().requires_grad_()
        strides = p.stride()
        one, other = build([p], setting, path), build([q], setting, LOOP)
        for t in range(6):
            p.grad = layouts(noise(theta, 1 + t))[of_g]
            q.grad = p.grad.clone(memory_format=torch.contiguous_format)
            one.step()
            other.step()
            # Where memory is not in order torch goes entry by entry, and rounds otherwise than in vectors.
            assert_close_after_one_step(one, other, lr=setting.get("lr", 1e-3))
            realign(one, other)
        assert p.stride() == strides


def views_to_resolve(g: Tensor) -> dict[str, Tensor]:
    """Gradients of g's values, or their negation or conjugation where g is complex, that are to be done."""
    return {"negative": torch._neg_view(-g), "conjugate": g.conj().resolve_conj().conj()}


@on_paths
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
@pytest.mark.parametrize("kind", ["negative", "conjugate"])
def test_gradient_whose_sign_or_conjugation_is_still_to_be_done(
    path: Setting, dtype: torch.dtype, kind: str
) -> None:
    one, other = (build(make_params((17,), (3, 2), (), dtype=dtype), path) for _ in range(2))
    for t in range(4):
        set_gradients(100 + t, one, other)
        for p in params_of(one):
            g = p.grad
            p.grad = views_to_resolve(g)[kind]
            assert torch.equal(p.grad, g)
            assert p.grad.is_neg() is (kind == "negative")
            assert p.grad.is_conj() is (kind == "conjugate" and dtype.is_complex)
        one.step()
        other.step()
        assert_same_bits(one, other)


@pytest.mark.skipif(not hasattr(Tensor, "grad_dtype"), reason="torch 2.9 allows no such gradient")
@on_paths
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_gradient_of_another_dtype_is_taken_in_that_of_the_parameter(
    path: Setting, dtype: torch.dtype
) -> None:
    one, other = (build(make_params((17,), (3, 2)), path) for _ in range(2))
    for p in params_of(one):
        p.grad_dtype = dtype
    for t in range(4):
        for i, (p, q) in enumerate(zip(params_of(one), params_of(other), strict=True)):
            p.grad = noise(q, 100 * t + i).to(dtype)
            q.grad = p.grad.float()
        one.step()
        other.step()
        assert_same_bits(one, other)


@on_paths
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shapes", [[(2**23,)], [(12_000,)] * 700], ids=["one", "many"])
def test_memory_of_a_step_is_a_few_chunks_however_large_the_model(
    path: Setting, dtype: torch.dtype, shapes: list[tuple[int, ...]]
) -> None:
    params: list[Any] = [torch.ones(shape, dtype=dtype, requires_grad=True) for shape in shapes]
    setting = {"weight_decay": 0.1, "decoupled_weight_decay": False, "maximize": True}
    optimizer = build(params, setting, path)
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        optimizer.step()
    # What the allocator gave and took back, in its order.
    results = profiled.profiler.kineto_results
    events = sorted((e for e in results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns())
    now = peak = 0
    for event in events:
        now += event.nbytes()
        peak = max(peak, now)
    assert now == 0
    # A single value in between for every entry would be four times as much.
    assert peak <= 2**23


@pytest.mark.slow
@on_paths
def test_more_entries_than_32_bits_count(path: Setting) -> None:
    if psutil.virtual_memory().available < 60 * 2**30:
        pytest.skip("takes 60 GiB of memory")
    p = torch.zeros(2**32 + 3, dtype=torch.bfloat16, requires_grad=True)
    optimizer = build([p], {"lr": 0.09}, path)
    p.grad = torch.ones_like(p)
    optimizer.step()
    assert p[:2].tolist() == p[-2:].tolist() == [pytest.approx(-0.1, rel=2**-8)] * 2
