"""What is kept between steps and between runs: settings, moments, their precision, and how they travel."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief

SETTINGS: dict[str, Any] = {
    "lr": 0.02,
    "betas": (0.8, 0.95),
    "eps": 1e-12,
    "weight_decay": 0.1,
    "decoupled_weight_decay": False,
    "fixed_decay": True,
    "rectify": True,
    "rectify_fallback": "skip",
    "amsgrad": True,
    "maximize": True,
    "foreach": True,
    "fused": None,
    "capturable": False,
    "differentiable": False,
}
HALF = [torch.float16, torch.bfloat16]


def param(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.linspace(-1, 1, 15, dtype=torch.float64).to(dtype).requires_grad_()


def go_on(p: Tensor, optimizer: torch.optim.Optimizer, first: int, last: int) -> Tensor:
    for t in range(first, last):
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(t)).to(p.dtype)
        optimizer.step()
    return p.detach()


def through_load(p: Tensor, optimizer: AdaBelief) -> AdaBelief:
    other = AdaBelief([p.detach().clone().requires_grad_()])  # no settings: they must come with the state
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return other


def through_file(p: Tensor, optimizer: AdaBelief) -> AdaBelief:
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other = AdaBelief([p.detach().clone().requires_grad_()])
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


def through_pickle(_: Tensor, optimizer: AdaBelief) -> AdaBelief:
    other = pickle.loads(pickle.dumps(optimizer))
    assert isinstance(other, AdaBelief)
    return other


def through_deepcopy(_: Tensor, optimizer: AdaBelief) -> AdaBelief:
    return copy.deepcopy(optimizer)


@pytest.mark.parametrize("travel", [through_load, through_file, through_pickle, through_deepcopy])
@pytest.mark.parametrize(
    "setting", [{}, SETTINGS, {"lr": torch.tensor(0.02)}], ids=["default", "all", "tensor"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF, torch.complex64], ids=str)
def test_resumed_run_equals_the_uninterrupted_one(
    travel: Callable[[Tensor, AdaBelief], AdaBelief], setting: dict[str, Any], dtype: torch.dtype
) -> None:
    p = param(dtype)
    optimizer = AdaBelief([p], **setting)
    go_on(p, optimizer, 0, 8)
    other = travel(p, optimizer)
    q = other.param_groups[0]["params"][0]
    assert q is not p
    assert torch.equal(go_on(q, other, 8, 20), go_on(p, optimizer, 8, 20))
    assert other.state[q].keys() == optimizer.state[p].keys()
    for name, value in optimizer.state[p].items():
        assert other.state[q][name].dtype == value.dtype
        assert torch.equal(other.state[q][name], value)
    assert other.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]


def test_state_dict_holds_every_setting_and_nothing_else() -> None:
    p = param()
    optimizer = AdaBelief([p], **SETTINGS)
    go_on(p, optimizer, 0, 1)
    state_dict = optimizer.state_dict()
    assert state_dict["param_groups"] == [{**SETTINGS, "params": [0]}]
    assert list(state_dict["state"][0]) == ["step", "exp_avg", "exp_avg_var", "max_exp_avg_var"]


def test_step_is_a_tensor_on_the_cpu_that_can_count() -> None:
    p = param(torch.bfloat16)
    optimizer = AdaBelief([p])
    go_on(p, optimizer, 0, 3)
    step = optimizer.state[p]["step"]
    assert (step.dtype, step.shape, step.device.type, step.item()) == (torch.float32, (), "cpu", 3)
    assert list(optimizer.state[p]) == ["step", "exp_avg", "exp_avg_var"]


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_moments_of_half_precision_are_float32_and_their_update_too(dtype: torch.dtype) -> None:
    p = param(dtype)
    wide = p.detach().float().requires_grad_()
    optimizer, expected = AdaBelief([p], amsgrad=True), AdaBelief([wide], amsgrad=True)
    for t in range(50):
        wide.data.copy_(p)  # so that they part by the one rounding of a step only
        go_on(p, optimizer, t, t + 1)
        wide.grad = p.grad.float() if p.grad is not None else None
        expected.step()
        assert torch.equal(p, wide.to(dtype))
    for name in ("exp_avg", "exp_avg_var", "max_exp_avg_var"):
        assert optimizer.state[p][name].dtype == torch.float32
        assert torch.equal(optimizer.state[p][name], expected.state[wide][name])


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_precision_is_kept_through_load_after_pre_hooks_and_before_post_hooks(dtype: torch.dtype) -> None:
    p, q = param(dtype), param(dtype)
    optimizer, other = AdaBelief([p]), AdaBelief([q])
    go_on(p, optimizer, 0, 5)
    seen = []

    def double(_: torch.optim.Optimizer, loaded: dict[str, Any]) -> dict[str, Any]:
        loaded = copy.deepcopy(loaded)
        loaded["state"][0]["exp_avg_var"] *= 2
        return loaded

    other.register_load_state_dict_pre_hook(double)
    other.register_load_state_dict_post_hook(lambda o: seen.append(o.state[q]["exp_avg_var"].clone()))
    other.load_state_dict(optimizer.state_dict())
    assert seen[0].dtype == torch.float32
    assert torch.equal(seen[0], 2 * optimizer.state[p]["exp_avg_var"])
    assert torch.equal(other.state[q]["exp_avg"], optimizer.state[p]["exp_avg"])
    # The hooks that do this are gone, so a second load runs each of the user's once.
    other.load_state_dict(optimizer.state_dict())
    assert len(seen) == 2


def test_older_checkpoint_takes_missing_settings_from_the_optimizer() -> None:
    p = param()
    optimizer = AdaBelief([p], rectify=True)
    go_on(p, optimizer, 0, 4)
    old = copy.deepcopy(optimizer.state_dict())
    old["state"][0]["step"] = 4
    for name in ("decoupled_weight_decay", "fixed_decay", "rectify", "maximize"):
        del old["param_groups"][0][name]
    q = p.detach().clone().requires_grad_()
    other = AdaBelief([q], rectify=True)
    other.load_state_dict(old)
    assert other.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    assert isinstance(other.state[q]["step"], Tensor)
    assert torch.equal(go_on(q, other, 4, 9), go_on(p, optimizer, 4, 9))


def test_group_that_joins_after_a_load_has_all_settings() -> None:
    p = param()
    other = through_pickle(p, AdaBelief([p], **SETTINGS))
    other.add_param_group({"params": [param()]})
    assert {**other.param_groups[1], "params": None} | SETTINGS == {**other.param_groups[1], "params": None}


def test_amsgrad_can_be_switched_on_halfway() -> None:
    p = param()
    optimizer = AdaBelief([p])
    go_on(p, optimizer, 0, 3)
    optimizer.param_groups[0]["amsgrad"] = True
    go_on(p, optimizer, 3, 4)
    state = optimizer.state[p]
    assert torch.equal(state["max_exp_avg_var"], state["exp_avg_var"])
