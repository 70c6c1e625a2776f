"""Settings by name: that they are whole, that they run, and that they are those of whom they name."""

import contextlib
import doctest
import io
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief, presets

STEPS = 60


def train(optimizer: torch.optim.Optimizer) -> Tensor:
    """Take some steps on a gradient with a direction and some noise, and return where they end."""
    (p,) = optimizer.param_groups[0]["params"]
    for t in range(STEPS):
        generator = torch.Generator().manual_seed(t)
        p.grad = (1 + torch.randn(p.shape, generator=generator, dtype=torch.float64)).to(p.dtype)
        optimizer.step()
    moved: Tensor = p.detach()
    return moved


def param(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.linspace(-1, 1, 37, dtype=torch.float64).to(dtype).requires_grad_()


def test_all_lists_every_preset_by_its_name() -> None:
    constants = {name: value for name, value in vars(presets).items() if name.isupper() and name != "ALL"}
    assert constants == dict(presets.ALL)
    assert set(presets.__all__) == constants.keys() | {"ALL", "Settings"}


@pytest.mark.parametrize("name", presets.ALL)
def test_preset_says_everything_that_a_run_depends_on(name: str) -> None:
    ways_of_computing = {"foreach", "fused", "capturable", "differentiable"}
    optimizer = AdaBelief([param()], **presets.ALL[name])
    assert presets.ALL[name].keys() == optimizer.defaults.keys() - ways_of_computing - {"maximize"}


@pytest.mark.parametrize("name", presets.ALL)
def test_preset_goes_downhill(name: str) -> None:
    moved = train(AdaBelief([param()], **presets.ALL[name]))
    assert bool((moved < param()).all())


@pytest.mark.parametrize("name", presets.ALL)
def test_preset_can_be_a_group_and_be_changed_by_merging(name: str) -> None:
    settings = presets.ALL[name]
    group = train(AdaBelief([{"params": [param()], **settings}]))
    assert torch.equal(group, train(AdaBelief([param()], **settings)))
    assert AdaBelief([param()], **settings | {"lr": 0.5}).defaults["lr"] == 0.5
    assert settings["lr"] != 0.5


def test_presets_type_check_one_by_one() -> None:
    AdaBelief([param()], **presets.CIFAR)  # that a type checker takes this is what is tested
    AdaBelief([param()], **presets.REFERENCE_0_2_1, foreach=True)
    AdaBelief([param()], **presets.TRANSFORMER | {"weight_decay": 0.0})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (presets.REFERENCE_0_2_1, {}),
        # Without rectification and amsgrad, 0.0.5 differs from 0.2.1 in these defaults only.
        (presets.REFERENCE_0_0_5, {"eps": 1e-8, "weight_decouple": False, "rectify": False}),
    ],
    ids=["0.2.1", "0.0.5"],
)
def test_reference_presets_are_the_defaults_of_the_reference(
    settings: presets.Settings, changes: dict[str, Any], weight_decay: float, dtype: torch.dtype
) -> None:
    reference = pytest.importorskip("adabelief_pytorch")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints, even when it is told not to
        expected = reference.AdaBelief(
            [param(dtype)], weight_decay=weight_decay, print_change_log=False, **changes
        )
    optimizer = AdaBelief([param(dtype)], **settings | {"weight_decay": weight_decay})
    assert torch.equal(train(optimizer), train(expected))


def test_examples_in_the_docstrings_run() -> None:
    result = doctest.testmod(presets)
    assert result.attempted > 0
    assert result.failed == 0
