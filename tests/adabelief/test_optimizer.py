"""The contract of a torch optimizer: what it takes, what it refuses, and what it leaves alone."""

import doctest
import io
import os
import re
import subprocess
import sys
from fractions import Fraction
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

import adabelief
from adabelief import AdaBelief

EVERYTHING: dict[str, Any] = {
    "weight_decay": 0.1,
    "decoupled_weight_decay": False,
    "amsgrad": True,
    "rectify": True,
    "maximize": True,
}


def param(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape or (4,), dtype=dtype, requires_grad=True)


def noise(p: Tensor, seed: int) -> Tensor:
    return torch.randn(p.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(
        p.dtype
    )


BAD: list[tuple[dict[str, Any], str]] = [
    ({"lr": -1}, "lr must be a number in [0, inf), got -1"),
    ({"lr": nan}, "lr must be a number in [0, inf), got nan"),
    ({"lr": inf}, "lr must be a number in [0, inf), got inf"),
    ({"lr": "0.1"}, "lr must be a number in [0, inf), got '0.1'"),
    ({"lr": torch.tensor(-1.0)}, "lr must be a number in [0, inf), got -1.0"),
    ({"lr": torch.tensor([0.1, 0.2])}, "Tensor lr must be 1-element, got one of shape (2,)"),
    ({"betas": 0.9}, "betas must be two numbers (beta1, beta2), got 0.9"),
    ({"betas": (0.9,)}, "betas must be two numbers (beta1, beta2), got (0.9,)"),
    (
        {"betas": (0.0, 0.9)},
        "betas[0] must be a number in (0, 1), got 0.0: without memory the gradient is its",
    ),
    ({"betas": (1.0, 0.9)}, "betas[0] must be a number in (0, 1), got 1.0"),
    ({"betas": (nan, 0.9)}, "betas[0] must be a number in (0, 1), got nan"),
    ({"betas": (0.9, 1.0)}, "betas[1] must be a number in [0, 1), got 1.0"),
    ({"betas": (0.9, -0.1)}, "betas[1] must be a number in [0, 1), got -0.1"),
    ({"eps": -1e-8}, "eps must be a number in [0, inf), got -1e-08"),
    ({"eps": None}, "eps must be a number in [0, inf), got None"),
    ({"weight_decay": -0.1}, "weight_decay must be a number in [0, inf), got -0.1"),
    ({"weight_decay": nan}, "weight_decay must be a number in [0, inf), got nan"),
    ({"rectify": "no"}, "rectify must be True or False, got 'no'"),
    ({"maximize": 1}, "maximize must be True or False, got 1"),
    ({"lr": torch.tensor([])}, "Tensor lr must be 1-element, got one of shape (0,)"),
    ({"lr": 1j}, "lr must be a number in [0, inf), got 1j"),
    ({"lr": np.array([0.1])}, "lr must be a number in [0, inf), got array([0.1])"),
    ({"betas": "ab"}, "betas must be two numbers (beta1, beta2), got 'ab'"),
    ({"betas": {0.9, 0.999}}, "betas must be two numbers (beta1, beta2), got {"),
    ({"betas": {0: 0.9, 1: 0.999}}, "betas must be two numbers (beta1, beta2), got {0: 0.9, 1: 0.999}"),
    ({"betas": torch.tensor([0.9, 0.999])}, "betas must be two numbers (beta1, beta2), got tensor("),
    ({"betas": np.array(0.9)}, "betas must be two numbers (beta1, beta2), got array(0.9)"),
    ({"betas": (torch.tensor(0.9), 0.999)}, "betas[0] must be a number in (0, 1), got tensor(0.9"),
    ({"eps": torch.tensor(1e-8)}, "eps must be a number in [0, inf), got tensor("),
    ({"weight_decay": "0.1"}, "weight_decay must be a number in [0, inf), got '0.1'"),
]


@pytest.mark.parametrize(("setting", "message"), BAD, ids=lambda value: str(value))
def test_bad_settings_are_refused_in_every_door(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        AdaBelief([param()], **setting)
    with pytest.raises(ValueError, match=re.escape(message)):
        AdaBelief([{"params": [param()], **setting}])
    optimizer = AdaBelief([param()])
    with pytest.raises(ValueError, match=re.escape(message)):
        optimizer.add_param_group({"params": [param()], **setting})
    assert len(optimizer.param_groups) == 1


SPELLINGS: list[dict[str, Any]] = [
    {"lr": np.float64(0.01), "eps": np.float32(2**-20), "weight_decay": np.float32(0.5)},
    {"betas": [0.9, 0.999]},
    {"betas": np.array([0.9, 0.999])},
    {"betas": (np.float32(0.75), np.float64(0.999))},
    {"betas": torch.tensor([0.75, 0.875]).tolist()},
    {"lr": 1, "eps": 0, "weight_decay": np.int64(1)},
    {"lr": Fraction(1, 64)},
]


@pytest.mark.parametrize("setting", SPELLINGS, ids=str)
def test_numbers_and_pairs_of_other_types_become_plain_ones(setting: dict[str, Any]) -> None:
    plain: dict[str, Any] = {
        name: tuple(map(float, x)) if name == "betas" else x if type(x) is int else float(x)
        for name, x in setting.items()
    }
    for optimizer in (AdaBelief([param()], **setting), AdaBelief([{"params": [param()], **setting}])):
        (group,) = optimizer.param_groups
        assert {name: group[name] for name in setting} == plain
        assert {type(group[name]) for name in setting} <= {int, float, tuple}
        assert {type(beta) for beta in group["betas"]} == {float}
        (p,), q = group["params"], param()
        other = AdaBelief([q], **plain)
        for t in range(3):
            p.grad = q.grad = noise(p, t)
            optimizer.step()
            other.step()
        assert torch.equal(p, q)
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        optimizer.load_state_dict(torch.load(file, weights_only=True))


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("weight_decouple", "decoupled_weight_decay"),
        ("decoupled_decay", "decoupled_weight_decay"),
        ("degenerated_to_sgd", "rectify_fallback"),
        ("ams_bound", "amsgrad"),
    ],
)
def test_settings_by_the_names_of_other_packages_are_refused_with_ours(name: str, here: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is another package's name: here it is {here}"):
        AdaBelief([{"params": [param()], name: True}])
    with pytest.raises(TypeError, match=name):
        AdaBelief([param()], **dict[str, Any]({name: True}))


def test_params_may_come_in_any_order_that_is_one() -> None:
    model = torch.nn.Linear(2, 1)
    ways: list[Any] = [
        model.parameters(),
        dict(model.named_parameters()).values(),
        model.named_parameters(),
        [{"params": model.parameters()}],
        [{"params": model.weight}, {"params": (model.bias,)}],
        ({"params": [p]} for p in model.parameters()),
    ]
    for way in ways:
        optimizer = AdaBelief(way)
        assert [p for group in optimizer.param_groups for p in group["params"]] == [model.weight, model.bias]
    with pytest.raises(TypeError, match="ordered collections"):
        AdaBelief([{"params": set(model.parameters())}])


def test_bad_default_is_refused_even_where_every_group_overrides_it() -> None:
    with pytest.raises(ValueError, match=r"lr must be a number in \[0, inf\), got -1"):
        AdaBelief([{"params": [param()], "lr": 0.1}], lr=-1)


def test_edges_of_the_ranges_are_accepted() -> None:
    AdaBelief([param()], lr=0, betas=(1e-3, 0.0), eps=0, weight_decay=0)


def test_bad_params_are_refused() -> None:
    with pytest.raises(TypeError, match="iterable of Tensors"):
        AdaBelief(param())
    with pytest.raises(ValueError, match="empty parameter list"):
        AdaBelief([])
    with pytest.raises(TypeError, match="must be a dict"):
        AdaBelief([param()]).add_param_group([param()])  # type: ignore[arg-type]
    p = param()
    with pytest.raises(ValueError, match="more than one parameter group"):
        AdaBelief([{"params": [p]}, {"params": [p]}])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        AdaBelief([p, p])


def test_sparse_gradients_are_refused_before_anything_changes() -> None:
    p = param(3, 2)
    p.grad = torch.ones(3, 2).to_sparse()
    optimizer = AdaBelief([p])
    with pytest.raises(
        RuntimeError, match=r"dense gradients, got one of layout torch.sparse_coo.*SparseAdam"
    ):
        optimizer.step()
    assert not optimizer.state
    assert torch.equal(p, torch.ones(3, 2))


@pytest.mark.parametrize("setting", [{}, EVERYTHING], ids=["default", "everything"])
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64], ids=str
)
def test_gradients_are_only_read_and_storage_stays(dtype: torch.dtype, setting: dict[str, Any]) -> None:
    flat = torch.ones(10, dtype=dtype)
    p = flat[2:8].view(2, 3).requires_grad_()  # as in a flat buffer, or a row of a stack of models
    p.grad = g = noise(p, 0)
    optimizer = AdaBelief([p], lr=0.1, **setting)
    optimizer.step()
    before = {name: value.data_ptr() for name, value in optimizer.state[p].items()}
    version = g._version
    optimizer.step()
    assert p.grad is g
    assert g._version == version == 0
    assert torch.equal(g, noise(p, 0))
    assert p.data_ptr() == flat.data_ptr() + 2 * flat.element_size()
    assert {name: value.data_ptr() for name, value in optimizer.state[p].items()} == before
    assert not torch.equal(flat[2:8], torch.ones(6, dtype=dtype))
    assert torch.equal(flat[[0, 1, 8, 9]], torch.ones(4, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("setting", [{}, EVERYTHING], ids=["default", "everything"])
def test_complex_is_a_pair_of_reals(dtype: torch.dtype, setting: dict[str, Any]) -> None:
    z = param(5, dtype=dtype)
    x = torch.view_as_real(z.detach()).clone().requires_grad_()
    optimizer, expected = AdaBelief([z], **setting), AdaBelief([x], **setting)
    for t in range(10):
        z.grad = noise(z, t).conj()  # whose conjugation is still to be done
        x.grad = torch.view_as_real(z.grad.resolve_conj())
        optimizer.step()
        expected.step()
    assert torch.equal(torch.view_as_real(z.detach()), x.detach())
    assert optimizer.state[z]["exp_avg"].dtype == dtype


@pytest.mark.parametrize("path", [{"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
def test_autograd_is_told_that_the_parameter_has_changed(path: dict[str, Any]) -> None:
    p = param()
    optimizer = AdaBelief([p], **path)
    for _ in range(3):
        loss = p.pow(3).sum()  # its gradient needs p as it is now
        p.grad = noise(p, 0)
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()  # type: ignore[no-untyped-call]


def test_profiler_sees_the_step() -> None:
    p = param()
    optimizer = AdaBelief([p])
    p.grad = noise(p, 0)
    optimizer.step()
    with torch.profiler.profile() as profile:
        optimizer.step()
    assert "Optimizer.step#AdaBelief.step" in {event.key for event in profile.key_averages()}


def losses(lr: float | Tensor, gamma: float = 0.9) -> Tensor:
    p = param()
    optimizer = AdaBelief([p], lr=lr)
    schedule = ExponentialLR(optimizer, gamma)
    for t in range(10):
        p.grad = noise(p, t)
        optimizer.step()
        schedule.step()
    return p.detach()


@pytest.mark.parametrize("shape", [(), (1,)])
def test_learning_rate_may_be_a_tensor(shape: tuple[int, ...]) -> None:
    # A power of two and float64, so that the schedule rounds alike in the tensor and in the number.
    lr = torch.full(shape, 2.0**-7, dtype=torch.float64)
    assert torch.equal(losses(lr), losses(2.0**-7))
    assert lr.item() == pytest.approx(2.0**-7 * 0.9**10, rel=1e-12)  # the schedule's ten roundings


def test_schedule_of_betas_reaches_the_step() -> None:
    p = param()
    optimizer = AdaBelief([p])
    schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=20)
    seen = set()
    for t in range(20):
        p.grad = noise(p, t)
        optimizer.step()
        seen.add(optimizer.param_groups[0]["betas"])
        schedule.step() if t < 19 else None
    assert len(seen) > 10
    assert bool(p.isfinite().all())


def test_named_parameters_keep_their_names() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = AdaBelief(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize("module", ["adabelief.functional", "adabelief.optimizer"])
def test_examples_in_the_docstrings_run(module: str) -> None:
    result = doctest.testmod(sys.modules[module])
    assert result.attempted > 0
    assert result.failed == 0


def test_import_is_silent_and_needs_torch_alone() -> None:
    code = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        "import adabelief\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        "assert new - {'torch'} == {'adabelief'}, new\n"
    )
    root = Path(adabelief.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    p = param()
    optimizer = AdaBelief([p], **EVERYTHING)
    p.grad = noise(p, 0)
    optimizer.step()
    assert capfd.readouterr() == ("", "")
