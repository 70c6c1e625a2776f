"""Parameters, gradients and moments that share memory: each update takes place, after the one before."""

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from adabelief.functional import apply_
from adabelief.steps import overlaps
from tests.builders.params import (
    FOREACH,
    LOOP,
    PATHS,
    Setting,
    assert_close_after_one_step,
    build,
    go_on,
    make_params,
    noise,
    params_of,
    states,
)

ALL_PATHS = [
    *PATHS,
    pytest.param({"fused": "torch"}, id="torch's kernels"),
    pytest.param({"capturable": True}, id="capturable"),
    pytest.param({"foreach": True, "capturable": True}, id="foreach, capturable"),
]
SETTINGS: dict[str, Setting] = {
    "default": {},
    "decoupled decay": {"weight_decay": 0.3, "lr": 0.1},
    "coupled decay": {"weight_decay": 0.3, "decoupled_weight_decay": False, "eps": 1e-8},
    "amsgrad": {"amsgrad": True, "weight_decay": 0.3},
}
LARGE = 300_000
"""More than a slice of a step."""

on_all_paths = pytest.mark.parametrize("path", ALL_PATHS)

Params = list[Any]


def memory(size: int) -> Tensor:
    return noise(torch.empty(size), 7)


def tied_by_data() -> Params:
    encoder, decoder = nn.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=False)
    encoder.weight.data = memory(12).view(3, 4)
    decoder.weight.data = encoder.weight.data
    return [encoder.weight, *make_params((5,)), decoder.weight]


def partly() -> Params:
    flat = memory(20)
    return [nn.Parameter(x) for x in (flat[:8], flat[12:], flat[6:13], flat[10:12])]


def neighbors() -> Params:
    flat = memory(20)
    return [nn.Parameter(x) for x in (flat[:8], flat[8:12], flat[12:])]


def transposed() -> Params:
    matrix = memory(12).view(3, 4)
    return [nn.Parameter(matrix), *make_params((3,)), nn.Parameter(matrix.t())]


def large_and_small() -> Params:
    flat = memory(LARGE)
    return [nn.Parameter(x) for x in (flat[5:30], flat, flat[-40:])]


def gaps() -> Params:
    table = memory(24).view(4, 6)
    return [nn.Parameter(table[:, ::2]), nn.Parameter(table[:, 1::2]), nn.Parameter(table[0])]


SHARED: dict[str, Callable[[], Params]] = {
    maker.__name__: maker for maker in (tied_by_data, partly, neighbors, transposed, large_and_small, gaps)
}


def random_gradients(params: Params, t: int) -> None:
    for i, p in enumerate(params):
        p.grad = noise(p, 100 * t + i)


def one_buffer(params: Params, t: int) -> None:
    """All gradients begin where one does."""
    buffer = noise(torch.empty(max(p.numel() for p in params)), t)
    for p in params:
        p.grad = buffer[: p.numel()].view_as(p)


def own_values(params: Params, t: int) -> None:  # noqa: ARG001
    """As of half the sum of squares, without a backward pass."""
    for p in params:
        p.grad = p.detach()


def values_of_the_next(params: Params, t: int) -> None:
    random_gradients(params, t)
    for p, q in pairwise(params):
        if p.shape == q.shape:
            p.grad = q.detach()


GRADIENTS = [random_gradients, one_buffer, own_values, values_of_the_next]


def in_turn(params: Params, setting: Setting) -> Iterator[list[Tensor]]:
    """Each parameter's step by an optimizer of its own, one after the other; yields values and moments."""
    optimizers = [build([p], setting, LOOP) for p in params]
    while True:
        for optimizer in optimizers:
            optimizer.step()
        yield [x for optimizer in optimizers for name, x in states(optimizer) if "step" not in name]


@on_all_paths
@pytest.mark.parametrize("gradients", GRADIENTS)
def test_every_path_takes_the_steps_one_after_the_other(
    path: Setting, gradients: Callable[[Params, int], None]
) -> None:
    exact = path in (LOOP, FOREACH)
    for (name, shared), setting in product(SHARED.items(), SETTINGS.values()):
        if shared is large_and_small and (gradients is not random_gradients or "lr" not in setting):
            continue  # the small ones show it
        one, other = shared(), shared()
        optimizer, turns = build(one, setting, path), in_turn(other, setting)
        for t in range(3):
            gradients(one, t)
            gradients(other, t)
            optimizer.step()
            found = [x for kind, x in states(optimizer) if "step" not in kind]
            for x, y in zip(found, next(turns), strict=True):
                if exact:
                    assert torch.equal(x, y), (name, setting)
                else:
                    torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5, msg=f"{name}, {setting}")


def test_neither_of_two_updates_is_lost() -> None:
    moved = {}
    for name, path in (("one by one", LOOP), ("together", FOREACH), ("torch", {"fused": "torch"})):
        flat = torch.zeros(3)
        a, b = nn.Parameter(flat), nn.Parameter(flat)
        a.grad, b.grad = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
        build([a, b], {"lr": 0.9}, path).step()
        moved[name] = flat
    for flat in moved.values():
        torch.testing.assert_close(flat, torch.tensor([-1.0, -1.0, 0.0]))
    assert torch.equal(moved["together"], moved["one by one"])


@on_all_paths
def test_groups_that_share_memory_step_in_their_order(path: Setting) -> None:
    def grouped() -> tuple[Params, list[dict[str, Any]]]:
        params = tied_by_data()
        return params, [{"params": params[:2]}, {"params": params[2:], "lr": 0.5}]

    params, groups = grouped()
    others, other_groups = grouped()
    one, other = (AdaBelief(g, weight_decay=0.1, **p) for g, p in ((groups, path), (other_groups, LOOP)))
    for t in range(3):
        random_gradients(params, t)
        random_gradients(others, t)
        one.step()
        other.step()
        for p, q in zip(params, others, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


@on_all_paths
def test_moments_that_are_one_after_a_load_count_all_their_gradients(path: Setting) -> None:
    def loaded(way: Setting) -> AdaBelief:
        optimizer = build(make_params((6,), (6,), (3,)), LOOP)
        go_on(optimizer, 0, 2)
        checkpoint = copy.deepcopy(optimizer.state_dict())
        checkpoint["state"][1] = checkpoint["state"][0]
        other = build(make_params((6,), (6,), (3,)), way)
        checkpoint["param_groups"] = other.state_dict()["param_groups"]
        other.load_state_dict(checkpoint)
        return other

    one, other = loaded(path), loaded(LOOP)
    go_on(one, 2, 3)
    go_on(other, 2, 3)
    first, second, _ = params_of(one)
    assert one.state[first]["exp_avg"].data_ptr() == one.state[second]["exp_avg"].data_ptr()
    assert one.state[first]["step"].item() == one.state[second]["step"].item() == 3
    assert_close_after_one_step(one, other, lr=1e-3)


@on_all_paths
def test_parameter_that_is_listed_twice_takes_two_steps(path: Setting) -> None:
    p, q = make_params((4,), (3,))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = build([p, q, p], path)
    r = p.detach().clone().requires_grad_()
    alone = build([r], LOOP)
    for t in range(3):
        p.grad = r.grad = noise(p, t)
        q.grad = noise(q, t)
        optimizer.step()
        alone.step()
        alone.step()
        torch.testing.assert_close(p, r, rtol=1e-5, atol=1e-6)
    assert optimizer.state[p]["step"].item() == 6
    assert optimizer.state[q]["step"].item() == 3


@on_all_paths
def test_one_value_for_many_entries_cannot_be_updated_and_torch_says_so(path: Setting) -> None:
    p = torch.ones(1).expand(5).requires_grad_()
    p.grad = torch.ones(5)
    optimizer = build([*make_params((3,)), p], path)
    with pytest.raises(RuntimeError, match="single memory location"):
        optimizer.step()
    assert torch.equal(p, torch.ones(5))


@on_all_paths
def test_slices_do_not_read_what_others_of_them_have_written(path: Setting) -> None:
    def shifted(way: Setting, size: int) -> Tensor:
        """Half of the sum of squares of neighbors: each gradient is the value one further on."""
        flat = memory(LARGE + 1)[: size + 1].clone()
        p = nn.Parameter(flat[:-1])
        p.grad = flat[1:]
        build([p], {"weight_decay": 0.3, "lr": 0.1}, way).step()
        return flat

    whole, small = shifted(path, LARGE), shifted(path, 1000)
    torch.testing.assert_close(whole[:999], small[:999], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(small, shifted(LOOP, 1000), rtol=1e-5, atol=1e-6)


def test_parameters_that_stay_are_compared_once_and_gradients_at_every_step() -> None:
    params = make_params((5,), (3, 2), (), (0,), (0,), (LARGE,))
    settings = [FOREACH, {"fused": "torch"}, {"foreach": True, "amsgrad": True}]
    optimizers = [build(params[i::3], setting) for i, setting in enumerate(settings)]
    for optimizer in optimizers:
        go_on(optimizer, 0, 1)
    with mock.patch.object(overlaps, "_tied", wraps=overlaps._tied) as compared:
        for optimizer in optimizers:
            go_on(optimizer, 1, 4)
            some = params_of(optimizer)[0]
            some.grad = None  # as of a layer that was left out
            optimizer.step()
        whole = [call for call in compared.call_args_list if len(call.args[0]) > 1]
        assert not whole
        optimizer = optimizers[0]
        for p in params_of(optimizer):
            p.grad = p.detach()
        optimizer.step()
        assert compared.call_args_list[-1].args[0]


def test_shared_memory_costs_others_of_the_set_no_call() -> None:
    """The rest is still updated together."""
    params = [*tied_by_data(), *make_params(*[(7,)] * 40)]
    tied, apart = build(params, FOREACH), build(make_params(*[(7,)] * 43), FOREACH)
    calls = []
    for optimizer in (tied, apart):
        go_on(optimizer, 0, 2)
        with mock.patch("adabelief.steps.paths.apply_", wraps=apply_) as used:
            go_on(optimizer, 2, 3)
        calls.append(used.call_count)
    assert calls == [3, 1]


def test_copies_and_memory_that_was_freed_are_no_ties() -> None:
    optimizer = build(make_params((6,), (3,)), FOREACH)
    for t in range(30):
        go_on(optimizer, t, t + 1)
        for p in params_of(optimizer):
            p.data = p.data.clone()
            for name in ("exp_avg", "exp_avg_var"):
                optimizer.state[p][name] = optimizer.state[p][name].clone()
    views = optimizer._plain_views([(p, p.grad) for p in params_of(optimizer)], optimizer.param_groups[0])
    assert len(optimizer._overlaps.part(views)[0]) == 2
    twin = copy.deepcopy(optimizer)
    go_on(twin, 30, 31)
    assert len(twin._overlaps.part(views)[0]) == 2


# dynamo's own, on what it imports
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("shared", [tied_by_data, neighbors])
def test_compiled_step_takes_them_one_after_the_other(shared: Callable[[], Params]) -> None:
    torch._dynamo.reset()
    one, other = shared(), shared()
    optimizer, turns = build(one), in_turn(other, {})
    step = torch.compile(optimizer.step, backend="aot_eager")
    for t in range(3):
        random_gradients(one, t)
        random_gradients(other, t)
        step()
        next(turns)
        for p, q in zip(one, other, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)
    torch._dynamo.reset()


def test_autograd_passes_through_two_steps_over_one_memory() -> None:
    flat = memory(4)
    lr = torch.tensor(0.1, requires_grad=True)
    whole = flat.clone().requires_grad_() * 1
    params = [whole[:3], whole[1:]]
    optimizer = AdaBelief(params, lr=lr, differentiable=True)
    gradients = [noise(p, i) for i, p in enumerate(params)]
    for p, g in zip(params, gradients, strict=True):
        p.grad = g
    optimizer.step()
    plain = [nn.Parameter(x) for x in (flat[:3], flat[1:])]
    other = build(plain, {"lr": 0.1}, LOOP)
    for p, g in zip(plain, gradients, strict=True):
        p.grad = g
    other.step()
    torch.testing.assert_close(whole.detach(), flat)
    whole.sum().backward()  # type: ignore[no-untyped-call]
    moved = sum(p.sum() for p in (noise(x, i).sign() for i, x in enumerate(plain)))
    torch.testing.assert_close(lr.grad, -moved / 0.9, rtol=1e-4, atol=1e-4)
