"""The hooks of torch's optimizers: which are called, when, with what, and what they may change."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.profiler import ProfilerActivity, profile

from adabelief import AdaBelief
from tests.builders.params import (
    FOREACH,
    FUSED,
    LOOP,
    Setting,
    assert_same_bits,
    build,
    go_on,
    make_params,
    needs_compiler,
)

StateDict = dict[str, Any]

PATHS = [
    pytest.param(LOOP, id="for-loop"),
    pytest.param(FOREACH, id="foreach"),
    pytest.param(FUSED, id="fused", marks=needs_compiler),
    pytest.param({"capturable": True}, id="capturable"),
]


def trained(*settings: Setting) -> AdaBelief:
    optimizer = build(make_params((3, 2), ()), *settings)
    go_on(optimizer, 0, 3)
    return optimizer


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Names in the order of their calls; hooks on every optimizer are there while the test runs."""
    calls: list[str] = []
    handles = [
        register_optimizer_step_pre_hook(lambda *_: calls.append("every before")),
        register_optimizer_step_post_hook(lambda *_: calls.append("every after")),
    ]
    yield calls
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("path", PATHS)
def test_step_hooks_stand_around_the_step_those_of_every_optimizer_outermost(
    path: Setting, calls: list[str]
) -> None:
    (p,) = make_params((3,))
    optimizer = build([p], path)
    before = p.detach().clone()
    p.grad = torch.ones_like(p)

    def moved() -> str:
        return "moved" if not torch.equal(p, before) else "not moved"

    optimizer.register_step_pre_hook(lambda *_: calls.append(f"own before, {moved()}"))
    optimizer.register_step_post_hook(lambda *_: calls.append(f"own after, {moved()}"))
    optimizer.step()
    assert calls == ["every before", "own before, not moved", "own after, moved", "every after"]


def test_step_hooks_see_the_optimizer_and_the_arguments_and_end_when_removed() -> None:
    optimizer = trained()
    seen: list[Any] = []

    def closure() -> float:
        return 7.0

    def before(*arguments: Any) -> None:
        seen.append(("before", *arguments))

    def after(*arguments: Any) -> None:
        seen.append(("after", *arguments))

    handles = [optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)]
    assert optimizer.step(closure) == 7.0
    for name, *arguments in seen:
        assert arguments == [optimizer, (optimizer, closure), {}], name
    assert len(seen) == 2
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 2


def test_step_hook_may_replace_the_arguments() -> None:
    optimizer = trained()

    def other(o: Optimizer, *_: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (o, lambda: 8.0), {}

    optimizer.register_step_pre_hook(other)
    assert optimizer.step(lambda: 7.0) == 8.0


@pytest.mark.parametrize("path", PATHS)
def test_step_hook_may_change_gradients_and_settings(path: Setting) -> None:
    hooked, plain = trained(path), trained(path)

    def double(o: Optimizer, *_: Any) -> None:
        for group in o.param_groups:
            group["lr"] = 0.05
            for p in group["params"]:
                p.grad.mul_(2)

    hooked.register_step_pre_hook(double)
    for p, q in zip(hooked.param_groups[0]["params"], plain.param_groups[0]["params"], strict=True):
        p.grad, q.grad = torch.ones_like(p), torch.full_like(q, 2.0)
    plain.param_groups[0]["lr"] = 0.05
    hooked.step()
    plain.step()
    assert_same_bits(hooked, plain)


def test_state_dict_hooks_run_in_their_order_and_may_replace_the_result() -> None:
    optimizer = trained()
    calls: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *_: calls.append(name)

    optimizer.register_state_dict_pre_hook(note("pre 2"))
    optimizer.register_state_dict_pre_hook(note("pre 1"), prepend=True)
    optimizer.register_state_dict_post_hook(note("post 2"))
    optimizer.register_state_dict_post_hook(note("post 1"), prepend=True)

    def extend(o: Optimizer, state_dict: StateDict) -> StateDict:
        assert o is optimizer
        return {**state_dict, "epoch": 3}

    handle = optimizer.register_state_dict_post_hook(extend)
    assert optimizer.state_dict()["epoch"] == 3
    assert calls == ["pre 1", "pre 2", "post 1", "post 2"]
    handle.remove()
    assert optimizer.state_dict().keys() == {"state", "param_groups"}


def test_state_dict_pre_hook_may_change_what_is_saved() -> None:
    optimizer = trained()

    def rename(o: Optimizer) -> None:
        o.param_groups[0]["lr"] = 0.5

    optimizer.register_state_dict_pre_hook(rename)
    assert optimizer.state_dict()["param_groups"][0]["lr"] == 0.5


def test_load_hooks_run_in_their_order_around_the_load() -> None:
    source, target = trained(), build(make_params((3, 2), ()))
    calls: list[tuple[str, int]] = []

    def note(name: str) -> Callable[..., None]:
        return lambda o, *_: calls.append((name, len(o.state)))

    target.register_load_state_dict_pre_hook(note("pre 2"))
    target.register_load_state_dict_pre_hook(note("pre 1"), prepend=True)
    target.register_load_state_dict_post_hook(note("post 2"))
    target.register_load_state_dict_post_hook(note("post 1"), prepend=True)
    target.load_state_dict(source.state_dict())
    assert calls == [("pre 1", 0), ("pre 2", 0), ("post 1", 2), ("post 2", 2)]


@pytest.mark.parametrize("prepend", [False, True])
def test_load_pre_hook_may_replace_the_state_dict_and_leaves_the_source_alone(prepend: bool) -> None:
    source, target = trained(), build(make_params((3, 2), ()))
    state_dict = source.state_dict()

    def faster(_: Optimizer, loaded: StateDict) -> StateDict:
        loaded = copy.deepcopy(loaded)
        loaded["param_groups"][0]["lr"] = 0.5
        loaded["state"][0]["exp_avg"].zero_()
        return loaded

    target.register_load_state_dict_pre_hook(faster, prepend=prepend)
    target.load_state_dict(state_dict)
    p = target.param_groups[0]["params"][0]
    assert target.param_groups[0]["lr"] == 0.5
    assert not target.state[p]["exp_avg"].any()
    assert state_dict["param_groups"][0]["lr"] == source.param_groups[0]["lr"] == 1e-3
    assert state_dict["state"][0]["exp_avg"].any()


@pytest.mark.parametrize("prepend", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_load_post_hook_may_change_what_was_loaded(prepend: bool, dtype: torch.dtype) -> None:
    source = build(make_params((3, 2), dtype=dtype))
    go_on(source, 0, 3)
    target = build(make_params((3, 2), dtype=dtype))

    def forget(o: Optimizer) -> None:
        for state in o.state.values():
            state["exp_avg"].fill_(0.25)
            state["step"].fill_(100.0)

    target.register_load_state_dict_post_hook(forget, prepend=prepend)
    target.load_state_dict(source.state_dict())
    (state,) = target.state.values()
    assert state["step"].item() == 100
    assert state["exp_avg"].eq(0.25).all()
    assert state["exp_avg"].dtype == torch.float32


def test_hooks_do_not_travel_with_copies() -> None:
    optimizer = trained()
    calls: list[str] = []
    optimizer.register_step_post_hook(lambda *_: calls.append("step"))
    optimizer.register_load_state_dict_post_hook(lambda *_: calls.append("load"))
    other = copy.deepcopy(optimizer)
    other.step()
    other.load_state_dict(optimizer.state_dict())
    assert calls == []


def test_hook_for_accumulated_gradients_may_step_and_free_them() -> None:
    # One optimizer a parameter, stepped in the backward pass: no gradient outlives it.
    params = make_params((3, 2), (4,))
    each = {p: build([p], FOREACH) for p in params}

    def step(p: Tensor) -> None:
        each[p].step()
        each[p].zero_grad()

    for p in params:
        p.register_post_accumulate_grad_hook(step)
    together = [p.detach().clone().requires_grad_() for p in params]
    optimizer = build(together, FOREACH)
    for _ in range(4):
        sum((p.square().sum() for p in params), torch.zeros(())).backward()
        optimizer.zero_grad()
        sum((p.square().sum() for p in together), torch.zeros(())).backward()
        optimizer.step()
    assert all(p.grad is None for p in params)
    assert all(map(torch.equal, params, together))


@pytest.mark.parametrize("hooked", [False, True])
def test_profiler_knows_the_step_by_its_name(hooked: bool) -> None:
    optimizer = trained()
    if hooked:
        optimizer.register_step_post_hook(lambda *_: None)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        optimizer.step()
        optimizer.zero_grad()
    names = [event.name for event in profiled.events()]
    assert names.count("Optimizer.step#AdaBelief.step") == 1
    assert names.count("Optimizer.zero_grad#AdaBelief.zero_grad") == 1


def test_step_of_a_subclass_and_of_a_schedule_runs_each_hook_once() -> None:
    class Own(AdaBelief):
        pass

    optimizer = Own(make_params((3,)))
    calls: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)  # which wraps the step of the object
    go_on(optimizer, 0, 2)
    schedule.step()
    assert calls == ["before", "after"] * 2
