"""Checkpoints of other optimizers: the reference's go on bit for bit, those of Adam and its kin are refused.

Recorded checkpoints of the reference, for where it is not installed, are in ``test_recorded_parity``.
"""

import contextlib
import copy
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief

SHAPES = [(3,), (7, 11)]
HALFWAY, END = 20, 40


def params(dtype: torch.dtype = torch.float32) -> list[Any]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in SHAPES]


def go_on(optimizer: torch.optim.Optimizer, first: int, last: int) -> list[Tensor]:
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    for t in range(first, last):
        generator = torch.Generator().manual_seed(t)
        for p in trained:
            p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
        optimizer.step()
    return [p.detach() for p in trained]


def make_reference(trained: list[Any], **settings: Any) -> torch.optim.Optimizer:
    reference = pytest.importorskip("adabelief_pytorch")
    settings["weight_decouple"] = settings.pop("decoupled_weight_decay", True)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints, even when it is told not to
        optimizer = reference.AdaBelief(trained, print_change_log=False, **settings)
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def through_file(state_dict: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def assert_equal_state(actual: Any, expected: Any) -> None:
    """State dicts have the same keys, values and tensors, in the same dtypes."""
    assert actual["param_groups"] == expected["param_groups"]
    assert actual["state"].keys() == expected["state"].keys()
    for key, state in expected["state"].items():
        assert actual["state"][key].keys() == state.keys()
        for name, value in state.items():
            assert actual["state"][key][name].dtype == value.dtype
            assert torch.equal(actual["state"][key][name], value)


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize(
    "settings",
    [
        {"rectify": True},
        {"rectify": False, "eps": 1e-8, "weight_decay": 0.01, "decoupled_weight_decay": False},
        {"rectify": True, "weight_decay": 0.01, "fixed_decay": True},
        {"rectify": False, "amsgrad": True, "betas": (0.5, 0.75)},
    ],
    ids=["default", "coupled", "fixed", "amsgrad"],
)
def test_checkpoint_of_the_reference_goes_on_bitwise(
    settings: dict[str, Any], dtype: torch.dtype, foreach: bool
) -> None:
    expected = make_reference(params(dtype), lr=0.02, **settings)
    halfway = [p.clone().requires_grad_() for p in go_on(expected, 0, HALFWAY)]
    flags = {name: settings[name] for name in settings.keys() - {"eps", "betas", "weight_decay", "amsgrad"}}
    optimizer = AdaBelief(halfway, foreach=foreach, **flags)  # the rest comes with the checkpoint
    optimizer.load_state_dict(through_file(expected.state_dict()))
    for p, q in zip(go_on(optimizer, HALFWAY, END), go_on(expected, HALFWAY, END), strict=True):
        assert torch.equal(p, q)
    for p, q in zip(halfway, expected.param_groups[0]["params"], strict=True):
        assert optimizer.state[p].keys() == expected.state[q].keys()
        for name in optimizer.state[p].keys() - {"step"}:
            assert optimizer.state[p][name].dtype == expected.state[q][name].dtype
            assert torch.equal(optimizer.state[p][name], expected.state[q][name])


def test_checkpoint_of_the_reference_brings_each_group_its_settings_and_no_cache() -> None:
    def groups() -> list[dict[str, Any]]:
        first, second = params()
        return [
            {"params": [first], "lr": 0.1, "weight_decay": 0.2},
            {"params": [second], "betas": (0.5, 0.9)},
        ]

    expected = make_reference(groups(), eps=1e-12, rectify=True)
    go_on(expected, 0, HALFWAY)
    optimizer = AdaBelief([{"params": [p]} for p in params()], rectify=True, maximize=True)
    optimizer.load_state_dict(expected.state_dict())
    for group, other in zip(optimizer.param_groups, expected.param_groups, strict=True):
        assert {name: group[name] for name in other.keys() - {"buffer", "params"}} == {
            name: value for name, value in other.items() if name not in ("buffer", "params")
        }
        assert "buffer" not in group
        assert (group["rectify"], group["maximize"]) == (True, True)


Make = Callable[[list[Any]], torch.optim.Optimizer]
KIN: list[Make] = [torch.optim.Adam, torch.optim.AdamW, torch.optim.RAdam, torch.optim.NAdam]


@pytest.mark.parametrize("steps", [0, 5], ids=["new", "trained"])
@pytest.mark.parametrize("kin", KIN)
def test_checkpoint_of_adam_is_refused_and_nothing_changes(kin: Make, steps: int) -> None:
    adam = kin(params())
    go_on(adam, 0, 3)
    optimizer, untouched = (AdaBelief(params(), lr=0.02, eps=1e-12, rectify=True) for _ in range(2))
    go_on(optimizer, 0, steps)
    go_on(untouched, 0, steps)
    before = copy.deepcopy(adam.state_dict())
    message = "state[0] has exp_avg_sq, the second moment of Adam and its kin; AdaBelief divides by the var"
    with pytest.raises(ValueError, match=re.escape(message)):
        optimizer.load_state_dict(adam.state_dict())
    assert_equal_state(optimizer.state_dict(), untouched.state_dict())
    assert_equal_state(adam.state_dict(), before)
    # As if nothing had been tried: the same steps, and a load of its own kind.
    for p, q in zip(go_on(optimizer, steps, END), go_on(untouched, steps, END), strict=True):
        assert torch.equal(p, q)
    optimizer.load_state_dict(untouched.state_dict())


def test_checkpoint_of_another_optimizer_is_refused_by_what_it_has() -> None:
    sgd = torch.optim.SGD(params(), lr=0.1, momentum=0.9)
    go_on(sgd, 0, 3)
    optimizer = AdaBelief(params())
    with pytest.raises(ValueError, match=r"state\[0\] has momentum_buffer; AdaBelief's has step, exp_avg, "):
        optimizer.load_state_dict(sgd.state_dict())
    assert not optimizer.state


@pytest.mark.parametrize(
    "setting",
    [{"betas": (0.0, 0.999)}, {"weight_decay": -0.1}, {"lr": float("nan")}, {"rectify_fallback": "none"}],
    ids=str,
)
def test_checkpoint_with_a_setting_out_of_range_is_refused_and_nothing_changes(
    setting: dict[str, Any],
) -> None:
    # Ours can come from a hand that edits it; the reference takes beta1 = 0 and negative decay.
    optimizer, untouched = AdaBelief(params()), AdaBelief(params())
    state_dict = untouched.state_dict()
    state_dict["param_groups"][0] |= setting
    with pytest.raises(ValueError, match="must be"):
        optimizer.load_state_dict(state_dict)
    assert optimizer.state_dict()["param_groups"] == untouched.state_dict()["param_groups"]
