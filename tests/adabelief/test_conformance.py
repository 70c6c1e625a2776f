"""What torch asks of its own optimizers, asked of ours, which torch's own description of optimizers holds."""

import contextlib
import copy
import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau, StepLR

from adabelief import AdaBelief
from tests.builders.params import (
    DEVICES,
    FUSED,
    LOOP,
    PATHS,
    SETTINGS,
    Count,
    Setting,
    assert_same_bits,
    build,
    go_on,
    make_params,
    needs_compiler,
    noise,
    params_of,
    states,
)

# A private part of torch: without it, or in a form of another version, there is nothing to hold ours. Left
# alone it writes into the environment, and forbids all later tests to set the flags of torch.backends.
with mock.patch.dict(os.environ), mock.patch.object(torch.backends, "disable_global_flags"):
    common = pytest.importorskip("torch.testing._internal.common_optimizers", exc_type=ImportError)
    device_types = pytest.importorskip("torch.testing._internal.common_device_type", exc_type=ImportError)
    test_utils = pytest.importorskip("torch.testing._internal.common_utils", exc_type=ImportError)


def optim_inputs(device: str, dtype: torch.dtype | None = None) -> list[Any]:  # noqa: ARG001
    return [
        common.OptimizerInput(params=None, kwargs=copy.deepcopy(setting), desc=name)
        for name, setting in SETTINGS.items()
    ]


INFO = common.OptimizerInfo(
    AdaBelief,
    optim_inputs_func=optim_inputs,
    optim_error_inputs_func=common.get_error_inputs_for_all_optims,
    scheduler_inputs=(
        [],
        [lambda optimizer: StepLR(optimizer, gamma=0.9, step_size=5)],
        [lambda optimizer: ReduceLROnPlateau(optimizer, patience=3)],
        [
            lambda optimizer: StepLR(optimizer, gamma=0.9, step_size=5),
            lambda optimizer: ReduceLROnPlateau(optimizer, patience=3),
        ],
    ),
    supported_impls=("foreach", "differentiable", "fused"),
    supports_fused_on=("cpu", "cuda"),
    not_og_supported_flags=("foreach", "fused", "differentiable", "maximize", "capturable"),
    has_capturable_arg=True,
    supports_complex=True,
    supports_sparse=False,
    supports_multiple_devices=True,
)
INPUTS = [pytest.param(item.kwargs, id=item.desc) for item in INFO.optim_inputs_func("cpu")]
SCHEDULES = INFO.scheduler_inputs

on_devices = pytest.mark.parametrize("device", DEVICES)
on_paths = pytest.mark.parametrize("path", PATHS)
with_settings = pytest.mark.parametrize("setting", INPUTS)


class TestTorchsHarness(test_utils.TestCase):  # type: ignore[misc, name-defined]
    """torch's runner makes one test of it for each of its devices."""

    @common.optims([INFO], dtypes=[torch.float32])  # type: ignore[untyped-decorator]
    def test_every_input_it_derives_is_taken(self, device: str, dtype: torch.dtype, optim_info: Any) -> None:
        derived = common._get_optim_inputs_including_global_cliquey_kwargs(device, dtype, optim_info)
        assert len(derived) >= 3 * len(SETTINGS)  # as it is, differentiable and fused
        for item in derived:
            p = torch.nn.Parameter(torch.ones(3, dtype=dtype, device=device))
            optimizer = optim_info.optim_cls([p], **item.kwargs)
            assert item.kwargs.items() <= optimizer.defaults.items()


device_types.instantiate_device_type_tests(TestTorchsHarness, globals())


@pytest.mark.parametrize(
    "error", INFO.optim_error_inputs_func("cpu", torch.float32), ids=lambda e: e.optimizer_error_input.desc
)
def test_what_torch_refuses_is_refused(error: Any) -> None:
    item = error.optimizer_error_input
    params = make_params((1, 1)) if item.params is None else item.params
    expected: Any = pytest.warns if issubclass(error.error_type, Warning) else pytest.raises
    with expected(error.error_type, match=error.error_regex):
        AdaBelief(params, **item.kwargs)


class Quadratic:
    """||W x + b||^2, from W and b that are slices of memory with gaps, or not."""

    def __init__(self, device: str, strided: bool) -> None:
        weight, bias, self.x = (p.detach() for p in make_params((10, 5, 2), (10, 2), (5,), device=device))
        self.weight, self.bias = weight[..., 0], bias[..., 0]
        if not strided:
            self.weight, self.bias = self.weight.clone(), self.bias.clone()
        assert self.weight.is_contiguous() is self.bias.is_contiguous() is not strided
        self.weight.requires_grad_()
        self.bias.requires_grad_()

    def loss(self) -> Tensor:
        loss: Tensor = (self.weight.mv(self.x) + self.bias).square().sum()
        return loss

    def train(self, optimizer: AdaBelief, schedules: list[Any]) -> float:
        """Twenty steps; returns how much the loss grew."""

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = self.loss()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        made: list[LRScheduler] = [make(optimizer) for make in schedules]
        first = self.loss().item()
        for _ in range(20):
            loss = optimizer.step(closure)
            for schedule in made:
                if isinstance(schedule, ReduceLROnPlateau):
                    schedule.step(loss.detach())
                else:
                    schedule.step()
        return self.loss().item() - first


@on_devices
@on_paths
@with_settings
def test_loss_goes_down_or_up_if_that_is_asked_for(device: str, path: Setting, setting: Setting) -> None:
    for i, schedules in enumerate(SCHEDULES):
        for maximize in (False, True):
            problem = Quadratic(device, strided=i % 2 == 0)
            optimizer = build([problem.weight, problem.bias], setting, path, {"maximize": maximize})
            growth = problem.train(optimizer, schedules)
            assert growth > 0 if maximize else growth < 0


@on_devices
@on_paths
@with_settings
def test_each_group_has_a_learning_rate_of_its_own_that_a_schedule_scales(
    device: str, path: Setting, setting: Setting
) -> None:
    problem = Quadratic(device, strided=False)
    groups = [{"params": [problem.weight]}, {"params": [problem.bias], "lr": 0.02}]
    optimizer = build(groups, setting, path, {"maximize": False})
    lrs = [float(group["lr"]) for group in optimizer.param_groups]
    assert problem.train(optimizer, [lambda optimizer: StepLR(optimizer, gamma=0.9, step_size=5)]) < 0
    # A tensor lr rounds each of the four products to 6e-8.
    scaled = [float(group["lr"]) for group in optimizer.param_groups]
    assert scaled == pytest.approx([lr * 0.9**4 for lr in lrs], rel=3e-7)


@on_devices
@on_paths
@with_settings
def test_group_with_hardly_any_learning_rate_does_not_move(
    device: str, path: Setting, setting: Setting
) -> None:
    if setting.get("fixed_decay"):
        pytest.skip("whose decay has no learning rate in it")
    still, moving = make_params((4, 3), (4, 3), device=device)
    before = [p.detach().clone() for p in (still, moving)]
    groups = [{"params": [still], "lr": 1e-28}, {"params": [moving]}]
    optimizer = build(groups, setting, path)
    go_on(optimizer, 0, 10)
    assert torch.equal(still, before[0])
    assert not torch.equal(moving, before[1])


@on_paths
def test_decay_of_one_group_is_no_other_groups(path: Setting) -> None:
    decayed, kept = make_params((4, 3), (4, 3))
    kept.data.copy_(decayed)
    groups = [{"params": [decayed], "weight_decay": 0.5}, {"params": [kept]}]
    optimizer = build(groups, {"lr": 2.0**-4}, path)
    before = decayed.detach().clone()
    for _ in range(3):
        for p in (decayed, kept):
            p.grad = torch.zeros_like(p)
        optimizer.step()
    assert torch.equal(kept, before)
    # Three roundings of 6e-8.
    torch.testing.assert_close(decayed.detach(), before * (1 - 2.0**-5) ** 3, rtol=2e-7, atol=0)


@on_devices
@on_paths
@with_settings
def test_tensor_learning_rate_is_the_number_in_it(device: str, path: Setting, setting: Setting) -> None:
    shapes = (17,), (3, 2), ()
    for shape in ((), (1,)):
        one = build(make_params(*shapes, device=device), setting, path, {"lr": 2.0**-7})
        other = build(make_params(*shapes, device=device), setting, path, {"lr": torch.full(shape, 2.0**-7)})
        go_on(one, 0, 12)
        go_on(other, 0, 12)
        assert_same_bits(other, one)


@on_devices
@on_paths
@with_settings
def test_complex_is_a_pair_of_reals(device: str, path: Setting, setting: Setting) -> None:
    shapes = (17,), (3, 2), ()
    complexes = make_params(*shapes, dtype=torch.complex64, device=device)
    pairs = [torch.view_as_real(z.detach()).clone().requires_grad_() for z in complexes]
    one, other = build(complexes, setting, path), build(pairs, setting, path)
    for t in range(12):
        for i, (z, x) in enumerate(zip(complexes, pairs, strict=True)):
            z.grad = noise(z, 10 * t + i)
            x.grad = torch.view_as_real(z.grad)
        one.step()
        other.step()
    for (name, z), (_, x) in zip(states(one), states(other), strict=True):
        assert torch.equal(torch.view_as_real(z) if z.is_complex() else z, x), name


@on_devices
@with_settings
def test_complex_gradients_of_autograd_train_as_those_of_two_parts(device: str, setting: Setting) -> None:
    z, target = make_params((5,), (5,), dtype=torch.complex128, device=device)
    parts = [z.real.detach().clone().requires_grad_(), z.imag.detach().clone().requires_grad_()]
    one, other = build([z], setting, LOOP), build(parts, setting, LOOP)
    for _ in range(12):
        one.zero_grad()
        other.zero_grad()
        (z - target).abs().square().sum().backward()
        ((parts[0] - target.real).square() + (parts[1] - target.imag).square()).sum().backward()
        one.step()
        other.step()
        # Each gradient is rounded by itself, to 1e-16; g - m at b1 = .9 amplifies that by some tens.
        torch.testing.assert_close(torch.complex(*parts), z, rtol=1e-12, atol=1e-12)
        with torch.no_grad():
            parts[0].copy_(z.real)
            parts[1].copy_(z.imag)


@on_paths
@pytest.mark.parametrize("setting", [{}, SETTINGS["everything"]], ids=["default", "everything"])
def test_dtypes_may_be_mixed(path: Setting, setting: Setting) -> None:
    dtypes = [torch.float32, torch.bfloat16]
    if path != FUSED:  # of which a kernel each would be compiled
        dtypes += [torch.float64, torch.float16, torch.complex64]
    elif "amsgrad" in setting:
        dtypes = [torch.float32, torch.complex64]
    mixed = [p for dtype in dtypes for p in make_params((17,), (3, 2), dtype=dtype)]
    mixed = mixed[::2] + mixed[1::2]
    alone = [p.detach().clone().requires_grad_() for p in mixed]
    optimizer, each = build(mixed, setting, path), [build([p], setting, path) for p in alone]
    for t in range(8):
        for i, p in enumerate(mixed):
            p.grad = alone[i].grad = noise(p, 100 * t + i)
        optimizer.step()
        for one in each:
            one.step()
    together = [x for _, x in states(optimizer)]
    for x, y in zip(together, [x for one in each for _, x in states(one)], strict=True):
        assert x.dtype == y.dtype
        assert torch.equal(x, y)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@on_paths
def test_devices_may_be_mixed(path: Setting) -> None:
    mixed = [*make_params((17,), (3, 2)), *make_params((17,), (3, 2), device="cuda")]
    optimizer = build(mixed, path)
    for t in range(8):
        for i, p in enumerate(mixed):
            p.grad = noise(p, 2 * t + i % 2)
        optimizer.step()
    # Another compiler, or another device's division and root: an ulp of a step, eight times.
    torch.testing.assert_close([p.cpu() for p in mixed[2:]], mixed[:2], rtol=1e-6, atol=8 * 2e-3 * 1e-3)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@on_devices
@on_paths
@with_settings
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_default_dtype_decides_the_dtype_of_the_count_but_never_its_reach(
    device: str, path: Setting, setting: Setting, dtype: torch.dtype
) -> None:
    expected = build(make_params((4, 3), device=device), setting, path)
    go_on(expected, 0, 4)
    with default_dtype(dtype):
        optimizer = build(make_params((4, 3), device=device), setting, path)
        go_on(optimizer, 0, 4)
    (p,), (q,) = params_of(optimizer), params_of(expected)
    step = optimizer.state[p]["step"]
    assert step.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert step.item() == 4
    assert torch.equal(p, q)


@on_devices
@on_paths
@with_settings
def test_nothing_happens_without_gradients(device: str, path: Setting, setting: Setting) -> None:
    optimizer = build(make_params((4, 3), (), device=device), setting, path)
    before = copy.deepcopy(params_of(optimizer))
    optimizer.step()
    assert not optimizer.state
    assert all(map(torch.equal, params_of(optimizer), before))


@on_devices
@on_paths
@with_settings
def test_zero_gradients_move_nothing_without_decay(device: str, path: Setting, setting: Setting) -> None:
    params = make_params((4, 3), (), (1031,), device=device)
    params[0].data[0, 0] = -0.0
    optimizer = build(params, setting, path, {"weight_decay": 0.0})
    before = copy.deepcopy(params)
    for _ in range(8):
        for p in params:
            p.grad = torch.zeros_like(p)
        optimizer.step()
    for p, q in zip(params, before, strict=True):
        assert torch.equal(p, q)
        assert torch.equal(p.signbit(), q.signbit())


@with_settings
def test_repr_shows_every_setting_of_every_group(setting: Setting) -> None:
    groups = [{"params": [p]} for p in make_params((2,), (3,))]
    optimizer = build(groups, setting, {"betas": (0.8, 0.99)})
    shown = repr(optimizer)
    assert shown.startswith("AdaBelief (\nParameter Group 0\n")
    assert "Parameter Group 1" in shown
    for name, value in optimizer.defaults.items():
        assert shown.count(f"    {name}: {value}\n") == 2
    assert "params" not in shown


@on_devices
def test_default_path_is_the_one_torch_takes(device: str) -> None:
    calls = {}
    for name, path in {"default": {}, "loop": LOOP, "foreach": {"foreach": True}}.items():
        optimizer = build(make_params(*[(5,)] * 10, device=device), path)
        go_on(optimizer, 0, 1)
        with Count() as count:
            optimizer.step()
        calls[name] = count.calls["sqrt"]
    assert calls["loop"] == 10
    assert calls["foreach"] == 1
    assert calls["default"] == (calls["loop"] if device == "cpu" else calls["foreach"])


@needs_compiler
def test_fused_is_one_kernel_and_none_of_torchs_operators() -> None:
    optimizer = build(make_params((5,), (7,)), FUSED)
    go_on(optimizer, 0, 1)
    with Count() as count:
        optimizer.step()
    assert not {"sqrt", "addcdiv_", "addcmul_", "mul_"} & count.calls.keys()
