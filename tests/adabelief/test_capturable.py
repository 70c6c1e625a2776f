"""capturable=True: the same numbers, with every scalar on the device and none of them waited for."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.builders.params import (
    DEVICES,
    FOREACH,
    LOOP,
    PATHS,
    PLAIN_SETTINGS,
    Setting,
    assert_close_after_one_step,
    build,
    go_on,
    make_params,
    make_zoo,
    noise,
    params_of,
    realign,
    states,
)

CAPTURABLE: Setting = {"capturable": True}
STEPS = 7  # the sixth is the first that is rectified at beta2 = 0.999
READS = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "unique"}

with_settings = pytest.mark.parametrize("setting", PLAIN_SETTINGS.values(), ids=PLAIN_SETTINGS)
on_devices = pytest.mark.parametrize("device", DEVICES)
on_paths = pytest.mark.parametrize("path", PATHS)


class NoReads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operators that wait for a value, or whose result's shape is one."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        assert func.overloadpacket.__name__ not in READS, func
        return func(*args, **(kwargs or {}))


def tensor_lr(setting: Setting, device: str) -> Setting:
    return setting | {"lr": torch.as_tensor(setting.get("lr", 1e-3), dtype=torch.float64, device=device)}


def set_gradients(optimizer: Any, t: int) -> None:
    for i, p in enumerate(params_of(optimizer)):
        p.grad = noise(p, 100 * t + i)


def test_reads_are_noticed() -> None:
    x = torch.ones(3)
    for read in (lambda: x[0].item(), lambda: bool(x[0]), lambda: x.nonzero(), lambda: torch.equal(x, x)):
        with pytest.raises(AssertionError), NoReads():  # type: ignore[no-untyped-call]
            read()
    optimizer = build(make_params((3,)))
    go_on(optimizer, 0, 1)
    optimizer.param_groups[0]["lr"] = torch.tensor(0.1)
    with pytest.raises(AssertionError), NoReads():  # type: ignore[no-untyped-call]
        optimizer.step()


@on_devices
@on_paths
@with_settings
def test_step_reads_nothing(device: str, path: Setting, setting: Setting) -> None:
    for variant in (setting, tensor_lr(setting, device)):
        optimizer = build(make_params((17,), (3, 2), (), device=device), variant, path, CAPTURABLE)
        go_on(optimizer, 0, 1)  # the state is made, kernels are compiled
        for t in range(1, STEPS):
            set_gradients(optimizer, t)
            with NoReads():  # type: ignore[no-untyped-call]
                optimizer.step()
        assert optimizer.state[params_of(optimizer)[0]]["step"].item() == STEPS


@pytest.mark.parametrize("path", [LOOP, FOREACH], ids=["for-loop", "foreach"])
@with_settings
def test_step_needs_no_values_at_all(path: Setting, setting: Setting) -> None:
    # A meta tensor has none, and raises where one is asked for, moved or compared.
    for variant in (setting, tensor_lr(setting, "cpu")):
        lr = variant.get("lr", 1e-3)
        on_meta = {"lr": lr.to("meta")} if isinstance(lr, Tensor) else {}
        optimizer = build(make_params((17,), (), device="meta"), variant, path, CAPTURABLE)
        optimizer.param_groups[0].update(on_meta)
        for _ in range(2):
            for p in params_of(optimizer):
                p.grad = torch.empty_like(p)
            optimizer.step()
        assert all(x.device.type == "meta" for _, x in states(optimizer))


@on_devices
@on_paths
@with_settings
def test_float32_is_the_plain_step_but_for_the_last_digits(
    device: str, path: Setting, setting: Setting
) -> None:
    # A scalar that is a tensor is multiplied in before the sum, and so rounded once more than a number.
    for variant in (setting, tensor_lr(setting, device)):
        shapes = (1031,), (3, 2), ()
        one = build(make_params(*shapes, device=device), variant, path, CAPTURABLE)
        other = build(make_params(*shapes, device=device), setting, LOOP)
        for t in range(STEPS):
            set_gradients(one, t)
            set_gradients(other, t)
            one.step()
            other.step()
            assert_close_after_one_step(one, other, lr=float(setting.get("lr", 1e-3)))
            realign(one, other)


@on_devices
@pytest.mark.parametrize("path", [LOOP, FOREACH], ids=["for-loop", "foreach"])
@with_settings
def test_float64_is_the_plain_step(device: str, path: Setting, setting: Setting) -> None:
    # Kept from step to step: roundings of 1e-16, ten a step, that g - m at b1 = 0.9 amplifies by ten.
    for variant in (setting, tensor_lr(setting, device)):
        shapes = (17,), (3, 2), ()
        one = build(make_params(*shapes, dtype=torch.float64, device=device), variant, path, CAPTURABLE)
        other = build(make_params(*shapes, dtype=torch.float64, device=device), setting, LOOP)
        go_on(one, 0, 30)
        go_on(other, 0, 30)
        for (name, x), (_, y) in zip(states(one), states(other), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-12, check_device=False, msg=name)


@on_devices
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64], ids=str)
def test_count_is_on_the_device_in_a_dtype_that_can_count(device: str, dtype: torch.dtype) -> None:
    optimizer = build(make_params((3,), dtype=dtype, device=device), CAPTURABLE)
    go_on(optimizer, 0, 3)
    (state,) = optimizer.state.values()
    step = state["step"]
    assert (step.device.type, step.dtype, step.shape, step.item()) == (device, torch.float32, (), 3)


@on_devices
def test_learning_rate_in_a_tensor_is_read_by_the_step_and_not_before(device: str) -> None:
    lr = torch.zeros((), device=device)
    optimizer = build(make_params((3,), device=device), CAPTURABLE)
    optimizer.param_groups[0]["lr"] = lr
    (p,) = params_of(optimizer)
    before = p.detach().clone()
    go_on(optimizer, 0, 2)
    assert torch.equal(p, before)
    lr.fill_(0.1)
    go_on(optimizer, 2, 3)
    assert not torch.eq(p, before).any()


def test_rectified_steps_begin_where_they_do_in_plain_ones() -> None:
    setting = {"rectify": True, "rectify_fallback": "skip"}
    one, other = (build(make_params((3,)), setting, path) for path in (CAPTURABLE, LOOP))
    moved = []
    for t in range(8):
        row = []
        for optimizer in (one, other):
            (p,) = params_of(optimizer)
            before = p.detach().clone()
            go_on(optimizer, t, t + 1)
            row.append(not torch.equal(p, before))
        moved.append(row)
    assert moved == [[False, False]] * 5 + [[True, True]] * 3


@on_paths
def test_extremes_of_the_branch_that_is_not_taken_do_not_leak(path: Setting) -> None:
    # torch.where computes both: eps = 0 and zero gradients make the one 0 / 0, lr = 0 the other 0 * inf.
    for setting in ({"rectify": True}, {"rectify": True, "rectify_fallback": "skip"}, {"lr": 0.0}):
        optimizer = build(make_params((4,)), {"eps": 0.0}, setting, path, CAPTURABLE)
        (p,) = params_of(optimizer)
        before = p.detach().clone()
        for _ in range(4):
            p.grad = torch.zeros_like(p)
            optimizer.step()
        assert torch.equal(p, before)
        assert torch.equal(p.signbit(), before.signbit())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:.*capturable=True.*without CUDA graph:UserWarning")
@on_paths
@with_settings
def test_graph_of_a_step_is_the_step(path: Setting, setting: Setting) -> None:
    one, other = (
        build(make_zoo(device="cuda"), tensor_lr(setting, "cuda"), path, CAPTURABLE) for _ in range(2)
    )
    set_gradients(one, 0)
    gradients = [p.grad for p in params_of(one)]
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            one.step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        one.step()
    set_gradients(other, 0)
    for _ in range(3):
        other.step()
    for t in range(1, STEPS):
        set_gradients(other, t)
        other.param_groups[0]["lr"].mul_(0.9)
        one.param_groups[0]["lr"].mul_(0.9)
        for g, q in zip(gradients, params_of(other), strict=True):
            g.copy_(q.grad)
        graph.replay()
        other.step()
        for (name, x), (_, y) in zip(states(one), states(other), strict=True):
            assert torch.equal(x, y), name


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_graph_without_capturable_is_refused() -> None:
    optimizer = build(make_params((3,), device="cuda"))
    go_on(optimizer, 0, 1)
    with pytest.raises(RuntimeError, match="capturable"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        optimizer.step()
