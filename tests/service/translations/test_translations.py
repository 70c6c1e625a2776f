"""What is said of two settings holds for the real classes that they are settings of."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief import translate as adabelief
from whichopt.service.catalog.optimizers import OPTIMIZERS, optimizer
from whichopt.service.errors import InvalidSpec
from whichopt.service.space import Config
from whichopt.service.translations import REASONS, translate
from whichopt.service.translations.denominators import Assumed
from whichopt.workers.engine import optimizers

ASSUMED = Assumed(gradient=1e-2)


def setting(name: str, **given: Any) -> Config:
    return {**optimizer(name).default, **given}


def trained(name: str, config: Config, steps: int = 40) -> Tensor:
    """The params of a small network after `steps` on one batch, in float64."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(32, 5, dtype=torch.float64), torch.randn(32, 1, dtype=torch.float64)
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    chosen = optimizers.build(name, config, net.parameters())
    for _ in range(steps):
        chosen.zero_grad()
        torch.autograd.backward(nn.functional.mse_loss(net(inputs), targets))
        chosen.step()
    return torch.cat([param.detach().flatten() for param in net.parameters()])


def moves(name: str, config: Config, *, steps: int, size: float = 1e-2) -> Tensor:
    """Each step (steps, 64) under gradients that are noise about 0 of that size, the same for every name."""
    random = torch.Generator().manual_seed(1)
    param = nn.Parameter(torch.zeros(64, dtype=torch.float64))
    chosen = optimizers.build(name, config, [param])
    places = [param.detach().clone()]
    for _ in range(steps):
        param.grad = size * torch.randn(64, dtype=torch.float64, generator=random)
        chosen.step()
        places.append(param.detach().clone())
    return torch.stack(places).diff(dim=0)


@pytest.mark.parametrize(
    ("source", "target", "given", "exactness"),
    [
        ("adam", "adamw", {"weight_decay": 0.0}, "exact"),
        ("adamw", "adam", {"weight_decay": 0.0}, "exact"),
        ("adam", "qhadam", {"weight_decay": 1e-3, "eps": 1e-4}, "rounding"),
        ("adamw", "qhadamw", {"weight_decay": 0.1}, "rounding"),
        ("adam", "qhadamw", {"beta1": 0.7}, "rounding"),
        ("qhadam", "adam", {"nu1": 1.0, "nu2": 1.0, "weight_decay": 1e-3}, "rounding"),
        ("qhadam", "adam", {"nu1": 0.0, "nu2": 1.0}, "rounding"),
        ("qhadamw", "adam", {"nu1": 1.0, "nu2": 1.0, "weight_decay": 0.0}, "rounding"),
        ("nadam", "adam", {"beta1": 0.0}, "rounding"),
    ],
)
def test_what_is_exact_ends_at_the_same_place(
    source: str, target: str, given: dict[str, Any], exactness: str
) -> None:
    config = setting(source, **{"lr": 1e-2, **given})
    found = translate(source, target, config, ASSUMED)
    assert found.exactness == exactness
    ours, theirs = trained(source, config), trained(target, found.config)
    if exactness == "exact":
        assert torch.equal(ours, theirs)
    else:
        # pytorch_optimizer keeps its running weights in float32, whose rounding is 6e-8.
        torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [entry.name for entry in OPTIMIZERS])
def test_an_optimizer_is_itself(name: str) -> None:
    found = translate(name, name, optimizer(name).default, ASSUMED)
    assert (found.exactness, found.config) == ("exact", optimizer(name).default)


@pytest.mark.parametrize(
    ("target", "nesterov"),
    [("adam", False), ("adamw", False), ("adabelief", False), ("qhadam", False), ("qhadam", True)],
)
def test_a_large_eps_is_sgd(target: str, nesterov: bool) -> None:
    config = setting("sgd", lr=0.1, nesterov=nesterov)
    found = translate("sgd", target, config, ASSUMED)
    assert found.exactness == "limit"
    ours, theirs = (moves(*one, steps=120)[80:] for one in (("sgd", config), (target, found.config)))
    # An entry's root mean square is 1% of eps; what is left of the start's bias correction is 0.9^80.
    torch.testing.assert_close(theirs, ours, rtol=0.02, atol=0.002 * float(ours.abs().max()))


@pytest.mark.parametrize(
    ("source", "target", "given"),
    [
        ("adam", "adabelief", {"beta2": 0.99}),
        ("adam", "adabelief", {"beta1": 0.5, "beta2": 0.99, "eps": 5e-3}),
        ("adamw", "adabelief", {"beta2": 0.99, "weight_decay": 0.0}),
        ("adabelief", "adam", {"beta2": 0.99}),
        ("adabelief", "adamw", {"beta2": 0.99, "eps": 1e-7}),
        ("adabelief", "sgd", {"beta2": 0.99, "eps": 1e-6}),
        ("adam", "sgd", {"beta2": 0.99}),
        ("adam", "rmsprop", {"beta2": 0.99}),
        ("rmsprop", "adam", {"momentum": 0.8}),
        ("adam", "radam", {"beta2": 0.99}),
        ("adam", "yogi", {"beta2": 0.99}),
        ("yogi", "adam", {"beta2": 0.99}),
        ("adam", "adopt", {"beta2": 0.99}),
        ("padam", "adam", {"beta2": 0.99}),
        ("adam", "padam", {"beta2": 0.99}),
        ("adam", "adabound", {"beta2": 0.99}),
    ],
)
def test_steps_are_as_long_under_noise_of_the_assumed_size(
    source: str, target: str, given: dict[str, Any]
) -> None:
    config = setting(source, **given)
    found = translate(source, target, config, ASSUMED)
    ours, theirs = (
        float(moves(*one, steps=700)[500:].square().mean().sqrt())
        for one in ((source, config), (target, found.config))
    )
    assert theirs == pytest.approx(ours, rel=0.1), "averages of 100 squares vary by 7%"


def test_adabound_with_closed_bounds_is_sgd() -> None:
    """At step t they are within 10 / t of final_lr: 1% after 1,000 steps."""
    config = setting("sgd", lr=0.1, weight_decay=1e-3)
    assert translate("sgd", "adabound", config, Assumed(steps=200)).exactness == "approximate"
    found = translate("sgd", "adabound", config, Assumed(steps=2_000))
    assert found.exactness == "limit"
    ours, theirs = (moves(*one, steps=1_100)[1_000:] for one in (("sgd", config), ("adabound", found.config)))
    torch.testing.assert_close(theirs, ours, rtol=0.02, atol=0.02 * float(ours.abs().max()))
    back = translate("adabound", "sgd", found.config, Assumed(steps=2_000))
    assert back.exactness == "limit"
    assert back.config == pytest.approx(config)


@pytest.mark.parametrize("target", ["padam", "adabound"])
def test_what_is_adam_in_a_limit_goes_where_adam_does(target: str) -> None:
    """But for the place of eps in the first steps, which is nothing where eps is far below the gradients."""
    config = setting("adam", eps=1e-15, weight_decay=1e-3)
    found = translate("adam", target, config, ASSUMED)
    assert found.exactness == "limit"
    torch.testing.assert_close(trained(target, found.config), trained("adam", config), rtol=1e-5, atol=1e-6)


def test_the_authors_advice_is_taken_in_its_middle() -> None:
    config = setting("adamw", lr=1e-3, weight_decay=0.01)
    lion = translate("adamw", "lion", config, ASSUMED).config
    assert 3 < 1e-3 / float(lion["lr"]) < 10
    assert float(lion["lr"]) * float(lion["weight_decay"]) == pytest.approx(1e-5)
    assert translate("lion", "adamw", lion, ASSUMED).config["lr"] == pytest.approx(1e-3)
    assert 5 < float(translate("adamw", "adan", config, ASSUMED).config["lr"]) / 1e-3 < 10
    free = translate("adamw", "schedulefree_adamw", config, ASSUMED)
    assert 1 < float(free.config["lr"]) / 1e-3 < 10
    assert any("warmup_steps" in one for one in free.warnings)
    of_sgd = translate("sgd", "schedulefree_sgd", setting("sgd", lr=0.02), ASSUMED).config
    assert 10 < float(of_sgd["lr"]) / 0.02 < 50


@pytest.mark.parametrize("name", ["adagradnorm", "fromage", "muon", "msvag", "prodigy", "adadelta"])
def test_where_no_setting_is_near_it_says_why(name: str) -> None:
    for pair in (("adam", name), (name, "adam")):
        with pytest.raises(InvalidSpec, match=REASONS[name]):
            translate(*pair, setting(pair[0]), ASSUMED)


def test_decays_shrink_alike() -> None:
    """Without a gradient to speak of, at the assumed size of it: AdamW and AdaBelief, both decoupled."""
    config = setting("adamw", weight_decay=0.3)
    found = translate("adamw", "adabelief", config, ASSUMED)
    product = float(found.config["weight_decay"]) * float(found.config["lr"])
    assert product == pytest.approx(0.3 * 1e-3, rel=1e-12)


@pytest.mark.parametrize("beta2", [0.9, 0.999])
@pytest.mark.parametrize("eps", [1e-8, 1e-3, 1.0])
def test_it_says_what_the_optimizers_own_package_says(eps: float, beta2: float) -> None:
    """`adabelief.translate` has the limits of large and of small gradients."""
    there = translate("adam", "adabelief", setting("adam", eps=eps, beta2=beta2), ASSUMED).config
    assert there["eps"] == pytest.approx(adabelief.eps_from_adam(eps, beta2), rel=1e-12)
    own = setting("adabelief", eps=eps, beta2=beta2)
    back = translate("adabelief", "adam", own, Assumed(gradient=1e9)).config
    assert back["eps"] == pytest.approx(adabelief.adam_eps(eps, beta2), rel=1e-12)
    assert back["lr"] == pytest.approx(adabelief.adam_lr(1e-3, 0.9), rel=1e-6)
    sgd = translate("adabelief", "sgd", own, Assumed(gradient=1e-30)).config
    assert sgd["lr"] == pytest.approx(adabelief.sgd_lr(1e-3, eps, 0.9, beta2), rel=1e-9)
    assert math.isfinite(float(sgd["lr"]))
