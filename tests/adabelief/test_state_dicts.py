"""State dicts between optimizers: of other versions, other names, other paths, other devices."""

import copy
import io
import pickle
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief
from tests.builders.params import (
    DEVICES,
    FOREACH,
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
    params_of,
    realign,
    states,
)

SHAPES = (3, 2), (), (17,)
ADDED_LATER = ("foreach", "fused", "differentiable", "maximize", "capturable")
"""Settings that torch's optimizers got after their first release, and so must do without in a checkpoint."""

with_settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
with_plain_settings = pytest.mark.parametrize("setting", PLAIN_SETTINGS.values(), ids=PLAIN_SETTINGS)
on_paths = pytest.mark.parametrize("path", PATHS)


def make_named(named: bool) -> list[Any]:
    params = make_params(*SHAPES)
    return list(zip(("weight", "scale", "bias"), params, strict=True)) if named else params


def copy_params(target: AdaBelief, source: AdaBelief) -> None:
    for p, q in zip(params_of(target), params_of(source), strict=True):
        p.data.copy_(q)


def through_pickle(optimizer: AdaBelief) -> AdaBelief:
    other = pickle.loads(pickle.dumps(optimizer))
    assert isinstance(other, AdaBelief)
    return other


def assert_equal(actual: Any, expected: Any) -> None:
    """Of two state dicts: the same keys, in the same order, types and values."""
    assert type(actual) is type(expected)
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key, value in expected.items():
            assert_equal(actual[key], value)
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for x, y in zip(actual, expected, strict=True):
            assert_equal(x, y)
    elif isinstance(expected, Tensor):
        assert (actual.dtype, actual.device) == (expected.dtype, expected.device)
        assert torch.equal(actual, expected)
    else:
        assert actual == expected


@with_settings
@on_paths
def test_load_gives_the_same_state_dict_and_the_same_run(setting: Setting, path: Setting) -> None:
    for named, loads_named in product([False, True], repeat=2):
        optimizer = build(make_named(named), setting, path)
        go_on(optimizer, 0, 3)
        other = build(make_named(loads_named))  # no settings: they come with the state
        copy_params(other, optimizer)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        loaded = other.state_dict()
        if named or not loads_named:
            assert_equal(loaded, optimizer.state_dict())
        else:  # a checkpoint without names leaves those there are
            assert loaded["param_groups"][0].pop("param_names") == ["weight", "scale", "bias"]
            assert_equal(loaded, optimizer.state_dict())
        go_on(optimizer, 3, 6)
        go_on(other, 3, 6)
        assert_same_bits(other, optimizer)


@with_settings
def test_state_dict_does_not_depend_on_when_it_is_asked_for(setting: Setting) -> None:
    one, other = build(make_params(*SHAPES), setting), build(make_params(*SHAPES), setting)
    for t in range(3):
        go_on(one, t, t + 1)
        one.state_dict()
        go_on(other, t, t + 1)
    assert_equal(one.state_dict(), one.state_dict())
    assert_equal(one.state_dict(), other.state_dict())


@with_settings
@on_paths
def test_state_is_not_empty_and_lies_where_the_parameters_lie(setting: Setting, path: Setting) -> None:
    optimizer = build(make_params(*SHAPES), setting, path)
    go_on(optimizer, 0, 1)
    for p in params_of(optimizer):
        state = optimizer.state[p]
        largest = ["max_exp_avg_var"] if setting.get("amsgrad") else []
        assert list(state) == ["step", "exp_avg", "exp_avg_var", *largest]
        assert state.pop("step").item() == 1
        assert state["exp_avg_var"].gt(0).all()
        assert {(x.shape, x.dtype, x.device) for x in state.values()} == {(p.shape, p.dtype, p.device)}
    assert len(optimizer.state) == len(SHAPES)


@with_plain_settings
@on_paths
@pytest.mark.parametrize("door", ["load_state_dict", "unpickled"])
def test_checkpoint_from_before_a_flag_existed(setting: Setting, path: Setting, door: str) -> None:
    optimizer = build(make_params(*SHAPES), setting, path)
    go_on(optimizer, 0, 3)
    missing = [name for name in ADDED_LATER if not setting.get(name)]
    if door == "load_state_dict":
        old = copy.deepcopy(optimizer.state_dict())
        for name in missing:
            del old["param_groups"][0][name]
        other = build(make_params(*SHAPES), setting, path)
        other.load_state_dict(old)
    else:
        state = optimizer.__getstate__()
        state = copy.deepcopy({**state, "param_groups": [dict(g) for g in state["param_groups"]]})
        for name in missing:
            del state["param_groups"][0][name]
        other = AdaBelief.__new__(AdaBelief)
        other.__setstate__(state)
    copy_params(other, optimizer)
    assert_equal(other.state_dict()["param_groups"][0].keys() - optimizer.defaults.keys(), {"params"})
    assert other.defaults.keys() <= other.param_groups[0].keys()
    go_on(optimizer, 3, 6)
    go_on(other, 3, 6)
    assert_same_bits(other, optimizer)


@with_settings
def test_step_that_is_a_number_becomes_a_tensor(setting: Setting) -> None:
    optimizer, other = build(make_params(*SHAPES), setting), build(make_params(*SHAPES), setting)
    go_on(optimizer, 0, 3)
    go_on(other, 0, 3)
    old = copy.deepcopy(optimizer.state_dict())
    for state in old["state"].values():
        state["step"] = int(state["step"])
    other.load_state_dict(old)
    assert_equal(other.state_dict(), optimizer.state_dict())
    go_on(optimizer, 3, 6)
    go_on(other, 3, 6)
    assert_same_bits(other, optimizer)


@with_settings
def test_safe_load_of_a_saved_state_dict_is_the_state_dict(setting: Setting) -> None:
    optimizer = build(make_named(True), setting)
    go_on(optimizer, 0, 3)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert_equal(loaded, optimizer.state_dict())


@with_plain_settings
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("path", [*PATHS, pytest.param({"capturable": True}, id="capturable")])
def test_checkpoint_of_a_for_loop_on_the_cpu_goes_on_on_every_path_and_device(
    setting: Setting, device: str, path: Setting
) -> None:
    optimizer = build(make_params(*SHAPES), setting, LOOP)
    go_on(optimizer, 0, 3)
    state_dict = copy.deepcopy(optimizer.state_dict())
    for group in state_dict["param_groups"]:
        group.update({"foreach": None, **path})
    other = build(make_params(*SHAPES, device=device), setting, path)
    other.load_state_dict(state_dict)
    for t in range(3, 6):
        realign(other, optimizer)
        for p, q in zip(params_of(other), params_of(optimizer), strict=True):
            assert other.state[p]["step"].device.type == (device if path.get("capturable") else "cpu")
            q.grad = torch.linspace(-1, 1, q.numel()).view_as(q) * (t - 2)
            p.grad = q.grad.to(device)
        optimizer.step()
        other.step()
        assert_close_after_one_step(other, optimizer, lr=float(optimizer.param_groups[0]["lr"]))


@on_paths
def test_steps_between_two_loads_leave_the_loaded_state_dict_alone(path: Setting) -> None:
    optimizer = build(make_params(*SHAPES), path)
    go_on(optimizer, 0, 3)
    checkpoint = copy.deepcopy(optimizer.state_dict())
    weights = copy.deepcopy([p.detach() for p in params_of(optimizer)])
    go_on(optimizer, 3, 6)
    ends = copy.deepcopy([x for _, x in states(optimizer)])
    for p, q in zip(params_of(optimizer), weights, strict=True):
        p.data.copy_(q)
    optimizer.load_state_dict(copy.deepcopy(checkpoint))  # into the same object, whose memory is new now
    go_on(optimizer, 3, 6)
    assert all(map(torch.equal, [x for _, x in states(optimizer)], ends))
    for p, q in zip(params_of(optimizer), weights, strict=True):
        p.data.copy_(q)
    optimizer.load_state_dict(checkpoint)
    go_on(optimizer, 3, 6)
    assert all(map(torch.equal, [x for _, x in states(optimizer)], ends))


@with_settings
@on_paths
@pytest.mark.parametrize("through", [copy.deepcopy, through_pickle])
def test_copy_has_all_settings_and_state_and_trains_the_same(
    setting: Setting, path: Setting, through: Callable[[AdaBelief], AdaBelief]
) -> None:
    optimizer = build(make_named(True), setting, path)
    go_on(optimizer, 0, 3)
    other = through(optimizer)
    assert_equal(other.state_dict(), optimizer.state_dict())
    assert_equal(other.defaults, optimizer.defaults)
    go_on(optimizer, 3, 6)
    go_on(other, 3, 6)
    assert_same_bits(other, optimizer)
    assert not {p.data_ptr() for p in params_of(optimizer)} & {p.data_ptr() for p in params_of(other)}


def test_copy_has_all_public_attributes() -> None:
    optimizer = build(make_params(*SHAPES))
    other = copy.deepcopy(optimizer)
    public = {name for name in vars(optimizer) if not name.startswith("_")}
    assert public >= {"defaults", "state", "param_groups"}
    assert {name for name in vars(other) if not name.startswith("_")} == public


@on_paths
def test_moments_in_another_memory_order_than_their_parameter_go_on(path: Setting) -> None:
    optimizer = build(make_params((2, 3, 4, 5)), path)
    go_on(optimizer, 0, 3)
    (p,) = params_of(optimizer)
    q = p.detach().clone(memory_format=torch.channels_last).requires_grad_()
    other = build([q])
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for t in range(3, 6):
        realign(other, optimizer)
        go_on(optimizer, t, t + 1)
        go_on(other, t, t + 1)
        assert_close_after_one_step(other, optimizer, lr=1e-3)
    assert q.is_contiguous(memory_format=torch.channels_last)


@on_paths
def test_copy_and_original_part(path: Setting) -> None:
    optimizer = build(make_params(*SHAPES), path)
    go_on(optimizer, 0, 3)
    other = copy.deepcopy(optimizer)
    kept = copy.deepcopy([x for _, x in states(optimizer)])
    go_on(other, 3, 6)
    assert all(map(torch.equal, [x for _, x in states(optimizer)], kept))


def test_group_of_another_size_is_refused_and_changes_nothing() -> None:
    optimizer, other = build(make_params((3,), (2,))), build(make_params((3,)), FOREACH)
    go_on(optimizer, 0, 1)
    go_on(other, 0, 1)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        other.load_state_dict(optimizer.state_dict())
    assert_equal(other.state_dict(), before)
