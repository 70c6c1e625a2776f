"""The compiled kernel: when it is made and kept, and what happens where it cannot be."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

import adabelief
from adabelief.steps import cache
from adabelief.steps.compiled_kernel import kernel
from tests.builders.params import (
    FOREACH,
    FUSED,
    LOOP,
    PLAIN_SETTINGS,
    Count,
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

CPU = torch.device("cpu")
WORK = {"sqrt", "mul_", "add_", "addcmul_", "addcdiv_", "lerp_", "_foreach_lerp_", "_fused_adam_"}
"""Operators of an update that is not one kernel; the counts of steps are added to by others of torch's."""


def calls_of_a_step(optimizer: Any) -> set[str]:
    with Count() as count:
        optimizer.step()
    return set(count.calls) & WORK


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where there is no compiler, and that was said already."""
    monkeypatch.setenv("ADABELIEF_COMPILE", "0")
    kernel.cache_clear()
    yield
    kernel.cache_clear()


@needs_compiler
def test_fused_step_is_kernels_alone() -> None:
    optimizer = build(make_params((5,), (7, 3), ()), FUSED)
    go_on(optimizer, 0, 1)
    assert calls_of_a_step(optimizer) <= {"add_"}  # of the counts


@needs_compiler
def test_no_schedule_of_any_setting_compiles_again() -> None:
    params = make_params((5,), (3, 2))
    optimizer = build([{"params": params[:1]}, {"params": params[1:], "eps": 1e-8}], FUSED)
    schedules = [OneCycleLR(optimizer, max_lr=0.1, total_steps=20), ExponentialLR(optimizer, 0.9)]
    seen = set()
    go_on(optimizer, 0, 1)
    made = kernel.cache_info().misses
    for t in range(1, 20):
        for schedule in schedules:
            schedule.step()
        group = optimizer.param_groups[0]
        group["weight_decay"], group["eps"] = 0.1 / t, 10.0**-t
        group["rectify"], group["maximize"] = t % 2 == 0, t % 3 == 0
        group["decoupled_weight_decay"] = t % 5 == 0
        seen.add((group["lr"], group["betas"]))
        for p in params:
            p.grad = noise(p, t)
        assert calls_of_a_step(optimizer) <= {"add_"}
    assert len(seen) == 19
    assert kernel.cache_info().misses == made
    assert kernel(torch.float32, torch.float32, CPU, False) is not None


@needs_compiler
def test_sizes_of_all_kinds_share_a_kernel() -> None:
    build_once = build(make_params((5,)), FUSED)
    go_on(build_once, 0, 1)
    made = kernel.cache_info().misses
    optimizer = build(make_params((), (0,), (1,), (2,), (3,), (17,), (1031,), (2, 3, 4)), FUSED)
    go_on(optimizer, 0, 3)
    assert kernel.cache_info().misses == made


@needs_compiler
def test_kernel_on_disk_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on(build(make_params((5,)), FUSED), 0, 1)
    shutil.copytree(cache.folder(), tmp_path / "adabelief")  # as other processes may write into the first
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in cache.folder().iterdir()}
    kernel.cache_clear()  # as in a new process
    optimizer = build(make_params((5,)), FUSED)
    go_on(optimizer, 0, 1)
    assert calls_of_a_step(optimizer) <= {"add_"}
    assert before
    assert {path: path.stat().st_mtime_ns for path in cache.folder().iterdir()} == before


@needs_compiler
def test_last_digits_are_those_of_a_whole_run_too() -> None:
    # Unlike where every step begins anew from the same values, roundings add up here: a hundred steps, each
    # off by at most some 1e-6 of lr in the mean, and each followed by others that a changed value changes.
    one, other = (build(make_params((1031,), (17, 3)), path, {"eps": 1e-8}) for path in (FUSED, LOOP))
    go_on(one, 0, 100)
    go_on(other, 0, 100)
    for p, q in zip(params_of(one), params_of(other), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=100 * 1e-5 * 1e-3)


@pytest.mark.usefixtures("no_kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64], ids=str)
@pytest.mark.parametrize("setting", PLAIN_SETTINGS.values(), ids=PLAIN_SETTINGS)
def test_fused_without_kernels_is_the_for_loop_but_for_the_last_digits(
    dtype: torch.dtype, setting: Setting
) -> None:
    large = dtype == torch.float32 and not setting
    one, other = (build(make_zoo(dtype=dtype, large=large), setting, path) for path in (FUSED, LOOP))
    for t in range(7):
        for i, (p, q) in enumerate(zip(params_of(one), params_of(other), strict=True)):
            p.grad = q.grad = None if t == 3 or i % 3 == t else noise(p, 100 * t + i)
        one.step()
        other.step()
        assert_close_after_one_step(one, other, lr=float(setting.get("lr", 1e-3)))
        realign(one, other)


@pytest.mark.usefixtures("no_kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_torchs_own_kernels_are_what_there_is_without_a_compiler(dtype: torch.dtype) -> None:
    one, other = (build(make_zoo(dtype=dtype), {"fused": fused}) for fused in ("torch", True))
    go_on(one, 0, 7)
    go_on(other, 0, 7)
    for p, q in zip(params_of(one), params_of(other), strict=True):
        assert torch.equal(p, q)


def test_torchs_own_kernels_need_no_compiler() -> None:
    kernel.cache_clear()
    go_on(build(make_params((5,), (200, 100)), {"fused": "torch"}), 0, 2)
    assert kernel.cache_info().misses == 0


def test_fused_is_a_switch_or_torch() -> None:
    with pytest.raises(ValueError, match="fused must be True, False, 'torch' or None, got 'cuda'"):
        build(make_params((3,)), {"fused": "cuda"})


@pytest.mark.usefixtures("no_kernels")
def test_fused_without_kernels_moves_nothing_where_nothing_is_to_move() -> None:
    params = make_params((4, 3), (), (1031,))
    params[0].data[0, 0] = -0.0
    before = [p.detach().clone() for p in params]
    optimizer = build(params, FUSED)
    for t in range(8):
        for p in params:
            p.grad = torch.zeros_like(p) if t < 4 else noise(p, t)
        optimizer.param_groups[0]["lr"] = 1e-3 if t < 4 else 0.0
        optimizer.step()
    for p, q in zip(params, before, strict=True):
        assert torch.equal(p, q)
        assert torch.equal(p.signbit(), q.signbit())


WITHOUT_COMPILER = """
import warnings
import torch
from adabelief import AdaBelief

def run(**path):
    params = [torch.linspace(-1, 1, size, requires_grad=True) for size in (1031, 17, 1)]
    half = torch.linspace(-1, 1, 40).bfloat16().requires_grad_()
    optimizer = AdaBelief([*params, half], amsgrad=True, rectify=True, **path)
    for t in range(8):
        for p in (*params, half):
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(t)).to(p.dtype)
        optimizer.step()
    return params, half

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    (one, half), (again, _) = run(fused=True), run(fused=True)
    other, other_half = run(foreach=True)
for warning in caught:
    print(warning.category.__name__, warning.message)
for p, q, r in zip(one, again, other):
    assert torch.equal(p, q)
    torch.testing.assert_close(p, r, rtol=1e-6, atol=8 * 2e-3 * 1e-3)
assert torch.equal(half, other_half)
"""


def test_machine_without_a_compiler_is_told_once_for_each_kernel_and_computes_all_the_same(
    tmp_path: Path,
) -> None:
    root = Path(adabelief.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        env={**os.environ, "PYTHONPATH": str(root), "CXX": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert 1 <= len(told) <= 2  # one for float32, one for bfloat16
    for line in told:
        assert line.startswith("RuntimeWarning fused=True: no compiler that works for cpu")
        for word in ("/nonexistent", "CXX", "XDG_CACHE_HOME", "foreach=True"):
            assert word in line
    assert not list(tmp_path.rglob("*.pt2"))


def test_cache_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kernel.cache_clear()
    optimizer = build(make_params((5,)), FUSED)
    with pytest.warns(RuntimeWarning, match="a cache folder that can be written"):
        go_on(optimizer, 0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        go_on(optimizer, 1, 3)
    kernel.cache_clear()
    assert all(p.isfinite().all() for p in params_of(optimizer))


@pytest.mark.parametrize("path", [LOOP, FOREACH, FUSED, {"capturable": True}], ids=str)
def test_step_on_a_device_without_values_makes_the_state(path: Setting) -> None:
    p = torch.empty(3, 2, device="meta", dtype=torch.bfloat16, requires_grad=True)
    p.grad = torch.empty_like(p)
    optimizer = build([p], path, {"amsgrad": True})
    optimizer.step()
    for name in ("exp_avg", "exp_avg_var", "max_exp_avg_var"):
        x = optimizer.state[p][name]
        assert (x.shape, x.dtype, x.device) == (p.shape, torch.float32, p.device)


def test_fused_with_foreach_or_differentiable_is_refused() -> None:
    for other in ("foreach", "differentiable"):
        with pytest.raises(RuntimeError, match=other):
            build(make_params((3,)), FUSED, {other: True})


@needs_compiler
def test_twin_kernels_of_two_optimizers_do_not_mix_their_tensors() -> None:
    shapes = (5,), (7, 3)
    one, other, expected = (build(make_params(*shapes), FUSED) for _ in range(3))
    go_on(expected, 0, 6)
    for t in range(6):
        go_on(one, t, t + 1)
        go_on(other, t, t + 1)
    assert_same_bits(one, expected)
    assert_same_bits(other, expected)
