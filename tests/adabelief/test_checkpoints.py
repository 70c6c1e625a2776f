"""Checkpoints of other optimizers: the reference's go on bit for bit, those of Adam and its kin are refused.

Recorded checkpoints of the reference, for where it is not installed, are in ``test_recorded_parity``.
"""

import contextlib
import copy
import io
import json
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


def trained(steps: int = 3) -> AdaBelief:
    optimizer = AdaBelief(params(), lr=0.02, eps=1e-12)
    go_on(optimizer, 0, steps)
    return optimizer


def test_entries_of_a_wrapper_travel_with_the_state() -> None:
    optimizer = trained()
    first, second = optimizer.param_groups[0]["params"]
    optimizer.state["wrapper"] = {"value": 0.99, "steps": [1, 2]}  # type: ignore[index]
    optimizer.state["plain"] = 3  # type: ignore[index]
    optimizer.state[first]["slow"] = torch.zeros(3)
    optimizer.param_groups[0]["buffer"] = "mine"
    optimizer.param_groups[0]["initial_lr"] = 0.1
    other = AdaBelief(params())
    other.load_state_dict({**through_file(optimizer.state_dict()), "version": 2})
    assert other.state["wrapper"] == {"value": 0.99, "steps": [1, 2]}  # type: ignore[index]
    assert other.state["plain"] == 3  # type: ignore[index]
    assert torch.equal(other.state[other.param_groups[0]["params"][0]]["slow"], torch.zeros(3))
    assert (other.param_groups[0]["buffer"], other.param_groups[0]["initial_lr"]) == ("mine", 0.1)
    for p, q in zip(other.param_groups[0]["params"], (first, second), strict=True):
        p.data.copy_(q)
    for p, q in zip(go_on(other, 3, 9), go_on(optimizer, 3, 9), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("foreach", [False, True])
def test_entries_of_a_wrapper_may_be_there_before_the_first_step(foreach: bool) -> None:
    optimizer, plain = (AdaBelief(params(), foreach=foreach) for _ in range(2))
    for p in optimizer.param_groups[0]["params"]:
        optimizer.state[p]["old_p"] = p.detach().clone()
    optimizer.load_state_dict(optimizer.state_dict())
    for p, q in zip(go_on(optimizer, 0, 3), go_on(plain, 0, 3), strict=True):
        assert torch.equal(p, q)
    assert all("old_p" in state and state["step"] == 3 for state in optimizer.state.values())


@pytest.mark.parametrize(
    "step",
    [3, 3.0, torch.tensor(3), torch.tensor([3.0]), torch.tensor(3.0).bfloat16(), torch.tensor([[3]])],
    ids=str,
)
def test_count_of_steps_may_be_any_number(step: Any) -> None:
    optimizer, plain = trained(), trained()
    checkpoint = copy.deepcopy(optimizer.state_dict())
    for state in checkpoint["state"].values():
        state["step"] = step
    optimizer.load_state_dict(checkpoint)
    for p, q in zip(go_on(optimizer, 3, 6), go_on(plain, 3, 6), strict=True):
        assert torch.equal(p, q)
    (count,) = {state["step"].item() for state in optimizer.state.values()}
    assert count == 6
    assert {state["step"].dtype for state in optimizer.state.values()} == {torch.float32}


def test_loaded_counts_are_nobody_elses() -> None:
    optimizer = trained()
    other = AdaBelief(params())
    other.load_state_dict(optimizer.state_dict())  # without a copy, as many do
    go_on(other, 3, 5)
    assert [state["step"].item() for state in optimizer.state.values()] == [3, 3]


def edited(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    checkpoint = copy.deepcopy(trained().state_dict())
    change(checkpoint)
    return checkpoint


REFUSED: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda c: c["state"][0].update(step="3"), "state[0]['step'] must be a number in [0, inf), got '3'"),
    (lambda c: c["state"][0].update(step=-1), "state[0]['step'] must be a number in [0, inf), got -1"),
    (lambda c: c["state"][0].update(step=torch.ones(2)), "must be one number, got a tensor of (2,)"),
    (lambda c: c["state"][1].update(exp_avg=[0.0]), "state[1]['exp_avg'] must be a tensor, got a list"),
    (
        lambda c: c["state"].update({0: c["state"][1], 1: c["state"][0]}),
        "state[0]['exp_avg'] has the shape (7, 11), and its parameter (3,): the parameters are another",
    ),
    (
        lambda c: c.update(state={str(key): x for key, x in c["state"].items()}),
        "state has '0', a text, where param_groups have the parameter 0: JSON makes texts of numbers",
    ),
    (
        lambda c: c.pop("param_groups"),
        "an optimizer's state dict has state and param_groups, this one has state",
    ),
    (lambda c: c["param_groups"][0].update(betas="ab"), "betas must be two numbers (beta1, beta2), got 'ab'"),
    (lambda c: c["param_groups"][0].update(lr="0.1"), "lr must be a number in [0, inf), got '0.1'"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_no_state_can_be_is_refused_by_its_name_and_nothing_changes(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    optimizer, untouched = trained(2), trained(2)
    with pytest.raises(ValueError, match=re.escape(message)):
        optimizer.load_state_dict(edited(change))
    assert_equal_state(optimizer.state_dict(), untouched.state_dict())


def test_settings_through_json_are_what_they_were() -> None:
    optimizer = trained()
    checkpoint = optimizer.state_dict()
    other = AdaBelief(params())
    groups = json.loads(json.dumps(checkpoint["param_groups"]))
    assert groups[0]["betas"] == [0.9, 0.999]
    other.load_state_dict({**checkpoint, "param_groups": groups})
    assert other.state_dict()["param_groups"] == checkpoint["param_groups"]


def test_checkpoint_without_settings_takes_those_that_are_here() -> None:
    checkpoint = edited(lambda c: c.update(param_groups=[{"params": [0, 1]}]))
    other = AdaBelief(params(), lr=0.5, betas=(0.8, 0.9), rectify=True)
    before = other.state_dict()["param_groups"]
    other.load_state_dict(checkpoint)
    assert other.state_dict()["param_groups"] == before


def test_flags_by_the_names_of_other_packages_are_read() -> None:
    names = {"weight_decouple": False, "degenerated_to_sgd": False, "ams_bound": True, "step": 3}

    def foreign(checkpoint: dict[str, Any]) -> None:
        (group,) = checkpoint["param_groups"]
        for name in ("decoupled_weight_decay", "rectify_fallback", "amsgrad"):
            del group[name]
        group.update(names)
        for state in checkpoint["state"].values():
            del state["step"]  # pytorch_optimizer counts in the group

    optimizer = AdaBelief(params())
    optimizer.load_state_dict(edited(foreign))
    (group,) = optimizer.param_groups
    assert not names.keys() & group.keys()
    assert (group["decoupled_weight_decay"], group["rectify_fallback"], group["amsgrad"]) == (
        False,
        "skip",
        True,
    )
    assert [state["step"].item() for state in optimizer.state.values()] == [3, 3]


def test_checkpoint_of_pytorch_optimizer_goes_on() -> None:
    package = pytest.importorskip("pytorch_optimizer")
    theirs = package.AdaBelief(
        params(), lr=0.01, weight_decay=0.1, weight_decouple=False, rectify=False, eps=1e-8
    )
    halfway = [p.clone().requires_grad_() for p in go_on(theirs, 0, 5)]
    optimizer = AdaBelief(halfway)
    optimizer.load_state_dict(through_file(theirs.state_dict()))
    for p, q in zip(go_on(optimizer, 5, 20), go_on(theirs, 5, 20), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
