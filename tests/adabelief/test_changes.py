"""Between two steps anything may be moved, replaced, added or taken away, and the next step must notice."""

import copy
import random
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief
from adabelief.steps.compiled_kernel import kernel
from tests.builders.params import (
    PATHS,
    SETTINGS,
    Setting,
    assert_same_bits,
    build,
    go_on,
    make_params,
    noise,
    params_of,
)

on_paths = pytest.mark.parametrize("path", PATHS)

Change = Callable[[AdaBelief], None]


def replace_data(optimizer: AdaBelief) -> None:
    for p in params_of(optimizer):
        p.data = p.data.clone()


def replace_state_data(optimizer: AdaBelief) -> None:
    for p in params_of(optimizer):
        for name, x in optimizer.state[p].items():
            if name != "step":
                x.data = x.data.clone()


def replace_state(optimizer: AdaBelief) -> None:
    for p in params_of(optimizer):
        for name, x in optimizer.state[p].items():
            optimizer.state[p][name] = x.clone()


def swap_two(optimizer: AdaBelief) -> None:
    first, second, *_ = params_of(optimizer)
    first.data, second.data = second.data, first.data


def turn_around(optimizer: AdaBelief) -> None:
    for p in params_of(optimizer):
        p.data = p.data.t().contiguous().t()


def grow(optimizer: AdaBelief) -> None:
    for p in params_of(optimizer):
        p.grad = None
        p.data = torch.cat([p.data, p.data])
        for name, x in optimizer.state[p].items():
            if name != "step":
                optimizer.state[p][name] = torch.cat([x, x])


def load(optimizer: AdaBelief) -> None:
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def amsgrad_on(optimizer: AdaBelief) -> None:
    optimizer.param_groups[0]["amsgrad"] = True


def amsgrad_off(optimizer: AdaBelief) -> None:
    amsgrad_on(optimizer)
    go_on(optimizer, 50, 52)
    optimizer.param_groups[0]["amsgrad"] = False


CHANGES = [
    replace_data,
    replace_state_data,
    replace_state,
    swap_two,
    turn_around,
    grow,
    load,
    amsgrad_on,
    amsgrad_off,
]


@on_paths
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_between_two_steps_is_noticed(path: Setting, change: Change) -> None:
    one = build(make_params((4, 3), (4, 3), (5, 7)), path)
    go_on(one, 0, 3)
    # Of a copy every tensor is new, so nothing that was known of the old ones can be used there.
    for t in range(3, 9):
        other = copy.deepcopy(one)
        change(one)
        other = copy.deepcopy(other)
        change(other)
        other = copy.deepcopy(other)
        go_on(one, t, t + 1)
        go_on(other, t, t + 1)
        assert_same_bits(one, other)


@on_paths
def test_parameter_of_another_dtype_is_noticed(path: Setting) -> None:
    one = build(make_params((4, 3), (5,)), path)
    go_on(one, 0, 3)
    for p in params_of(one):
        p.data = p.data.bfloat16()
        p.grad = None
    other = copy.deepcopy(one)
    go_on(one, 3, 5)
    go_on(other, 3, 5)
    assert_same_bits(one, other)
    assert all(p.dtype == torch.bfloat16 for p in params_of(one))


@on_paths
def test_counts_are_right_where_layers_come_and_go_at_random(path: Setting) -> None:
    chance = random.Random(0)
    shapes = [(3,)] * 12
    optimizer, other = build(make_params(*shapes), path), [build([p], path) for p in make_params(*shapes)]
    counts = [0] * len(shapes)
    for t in range(60):
        for i, p in enumerate(params_of(optimizer)):
            (q,) = params_of(other[i])
            p.grad = q.grad = noise(p, 100 * t + i) if chance.random() < 0.5 else None
            counts[i] += p.grad is not None
        optimizer.step()
        for each in other:
            each.step()
    for p, each, count in zip(params_of(optimizer), other, counts, strict=True):
        (q,) = params_of(each)
        assert optimizer.state[p]["step"].item() == each.state[q]["step"].item() == count
        assert torch.equal(p, q)


@on_paths
def test_parameter_in_the_place_of_another_begins_anew(path: Setting) -> None:
    # Of which ids and addresses are likely to be those of its predecessor.
    optimizer = build(make_params((5,), (17,)), path)
    go_on(optimizer, 0, 2)
    group = optimizer.param_groups[0]
    for t in range(20):
        old = group["params"].pop()
        del optimizer.state[old], old
        fresh = torch.full((17,), float(t), requires_grad=True)
        group["params"].append(fresh)
        alone = build([fresh.detach().clone().requires_grad_()], path)
        (q,) = params_of(alone)
        for u in range(2):
            fresh.grad = q.grad = noise(q, 10 * t + u)
            optimizer.step()
            alone.step()
        assert torch.equal(fresh, q)
        assert optimizer.state[fresh]["step"].item() == 2
        del fresh


def from_array(x: Tensor) -> tuple[Tensor, Callable[[], object]]:
    """x in memory whose end can be seen: what is returned with it is None from then on."""
    array = x.detach().numpy().copy()
    return torch.from_numpy(array), weakref.ref(array)


@on_paths
def test_memory_of_large_tensors_is_free_as_soon_as_they_are_replaced(path: Setting) -> None:
    # As when parameters and state move to another device while something else needs the room.
    (p,) = make_params((2**18,))
    optimizer = build([p], path)
    go_on(optimizer, 0, 1)
    alive: dict[str, Callable[[], object]] = {}
    p.data, alive["param"] = from_array(p)
    for name in ("exp_avg", "exp_avg_var"):
        optimizer.state[p][name], alive[name] = from_array(optimizer.state[p][name])
    go_on(optimizer, 1, 3)
    assert all(ref() is not None for ref in alive.values())
    p.data = p.data.clone()
    for name in ("exp_avg", "exp_avg_var"):
        optimizer.state[p][name] = optimizer.state[p][name].clone()
    assert [name for name, ref in alive.items() if ref() is not None] == []


@on_paths
def test_memory_of_a_parameter_that_has_left_is_free(path: Setting) -> None:
    kept, leaving = make_params((5,), (2**18,))
    optimizer = build([{"params": [kept]}, {"params": [leaving]}], path)
    go_on(optimizer, 0, 2)
    alive = [weakref.ref(leaving), *(weakref.ref(x) for x in optimizer.state[leaving].values() if x.dim())]
    del optimizer.state[leaving], optimizer.param_groups[1], leaving
    go_on(optimizer, 2, 3)
    assert [ref for ref in alive if ref() is not None] == []


@pytest.fixture(params=["0", "1"], ids=["without kernels", "with kernels"])
def compile_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ADABELIEF_COMPILE", request.param)
    kernel.cache_clear()
    yield
    kernel.cache_clear()


@pytest.mark.usefixtures("compile_or_not")
@pytest.mark.parametrize("path", [*PATHS, pytest.param({"capturable": True}, id="capturable")])
@pytest.mark.parametrize("name", ["default", "rectify, amsgrad", "tensor lr"])
def test_default_device_is_of_no_concern(path: Setting, name: str) -> None:
    one, other = (build(make_params((17,), (3, 2), ()), SETTINGS[name], path) for _ in range(2))
    go_on(one, 0, 1)
    go_on(other, 0, 1)
    for t in range(1, 8):
        for i, (p, q) in enumerate(zip(params_of(one), params_of(other), strict=True)):
            p.grad = q.grad = noise(p, 100 * t + i)
        other.step()
        with torch.device("meta"):
            one.step()
    assert_same_bits(one, other)


@pytest.mark.usefixtures("compile_or_not")
@pytest.mark.parametrize("path", [*PATHS, pytest.param({"capturable": True}, id="capturable")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_default_dtype_is_of_no_concern_to_a_late_step(path: Setting, dtype: torch.dtype) -> None:
    one, other = (build(make_params((17,), (3, 2)), {"rectify": True}, path) for _ in range(2))
    for optimizer in (one, other):
        go_on(optimizer, 0, 1)
        for state in optimizer.state.values():
            state["step"].fill_(70_001.0)  # beyond float16, and between two numbers of bfloat16
    go_on(other, 1, 4)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        go_on(one, 1, 4)
    finally:
        torch.set_default_dtype(before)
    assert_same_bits(one, other)
