"""That optimizers do what the translated settings say, and that translations have inverses."""

import doctest
import re
from collections.abc import Callable
from math import inf, nan, sqrt
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adabelief import AdaBelief, presets, translate
from adabelief.translate import (
    adam_eps,
    adam_lr,
    denominator_floor,
    eps_from_adam,
    lr_from_adam,
    lr_from_sgd,
    sgd_lr,
)

beta1s = st.floats(0.01, 0.999)
beta2s = st.floats(0.0, 0.9999)
small = st.floats(1e-30, 1e3)

# Example times depend on what else the machine does, so there is no deadline.
patient = settings(deadline=None)


def zeros(n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.float64, requires_grad=True)


def noise(n: int, seed: int) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step(optimizer: torch.optim.Optimizer, g: Tensor) -> Tensor:
    """Take one step at gradient g, and return how far it went."""
    (p,) = optimizer.param_groups[0]["params"]
    before = p.detach().clone()
    p.grad = g.clone()
    optimizer.step()
    moved: Tensor = p.detach() - before
    return moved


@pytest.mark.parametrize("eps", [1e-8, 1e-16])
def test_constant_gradient_is_divided_by_the_floor(eps: float) -> None:
    lr, betas = 1e-3, (0.9, 0.9)
    optimizer = AdaBelief([zeros(3)], lr=lr, betas=betas, eps=eps)
    g = torch.tensor([1.0, -0.01, 100.0], dtype=torch.float64)
    for _ in range(600):  # the first deviations are g; 0.9**600 is 1e-28 of their squares
        moved = step(optimizer, g)
    # The longest way, 600 steps of 3e6, is known to 3e-7, a 1e-13 of the step; s is left with 1e-8 of eps.
    assert moved.tolist() == pytest.approx((-lr * g / denominator_floor(eps, betas[1])).tolist(), rel=1e-7)


def test_adam_at_the_translated_eps_has_the_same_floor() -> None:
    lr, betas, eps = 1e-3, (0.9, 0.999), 1e-16
    optimizer = AdaBelief([zeros(50)], lr=lr, betas=betas, eps=eps)
    adam = torch.optim.Adam([zeros(50)], lr=lr, betas=betas, eps=adam_eps(eps, betas[1]))
    for t in range(50):
        # Gradients of 1e-12 are 1e-5 of the floor: as much is added by Adam, and the square of that by ours.
        g = 1e-12 * noise(50, t)
        torch.testing.assert_close(step(optimizer, g), step(adam, g), rtol=1e-4, atol=0)


@pytest.mark.parametrize("beta1", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("mean", [0.0, 3.0])
def test_noise_steps_match_those_of_adam_at_the_translated_learning_rate(beta1: float, mean: float) -> None:
    lr, betas, n = 1e-3, (beta1, 0.98), 1000
    optimizer = AdaBelief([zeros(n)], lr=lr, betas=betas)
    adam_step = adam_lr(lr, beta1, mean_to_deviation=mean)
    adam = torch.optim.Adam([zeros(n)], lr=adam_step, betas=betas, eps=0)
    ours, theirs = torch.empty(100, n), torch.empty(100, n)
    for t in range(400):
        g = mean + noise(n, t)
        ours[t % 100], theirs[t % 100] = step(optimizer, g), step(adam, g)
    # Both denominators are means of some 50 squares, which vary by 14 and 20%, and do not vary as one.
    assert (ours.norm() / theirs.norm()).item() == pytest.approx(1, rel=2e-2)
    assert (ours * theirs).sum() > 0.99 * ours.norm() * theirs.norm()


@pytest.mark.parametrize(
    ("beta1", "mean", "factor"),
    [(0.9, 0, 1.083), (0.5, 0, 1.73), (0.1, 0, 7.42), (0.9, 3, 3.42), (0.9, 10, 10.9)],
)
def test_learning_rate_of_adam_has_the_published_factors(beta1: float, mean: float, factor: float) -> None:
    assert adam_lr(1.0, beta1, mean_to_deviation=mean) == pytest.approx(factor, rel=2e-3)  # three digits


def test_large_eps_is_sgd_with_momentum_at_the_translated_learning_rate() -> None:
    cifar = presets.CIFAR
    beta1, beta2 = cifar["betas"]
    translated = sgd_lr(cifar["lr"], cifar["eps"], beta1, beta2)
    assert translated == pytest.approx(0.0316, rel=1e-3)
    start = 1e-3 * noise(50, 0)
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    optimizer = AdaBelief([ours], **cifar)
    sgd = torch.optim.SGD([theirs], lr=translated, momentum=beta1, weight_decay=cifar["weight_decay"])
    for t in range(1, 101):
        sgd.param_groups[0]["lr"] = translated / (1 - beta1**t)
        g = 1e-6 * noise(50, t)
        step(optimizer, g)
        step(sgd, g)
    # Gradient and decay deviate by some 1e-6, whose square is 1e-7 of eps / (1 - beta2).
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_sgd_learning_rate_has_a_round_number_where_the_eps_outside_counts() -> None:
    assert denominator_floor(1.0, 0.75) == 3
    assert sgd_lr(6.0, eps=1.0, beta1=0.5, beta2=0.75) == 1


@patient
@given(small, beta2s)
def test_eps_returns_from_adam(eps: float, beta2: float) -> None:
    # Each way is a handful of roundings, and squaring a root doubles its error.
    assert eps_from_adam(adam_eps(eps, beta2), beta2) == pytest.approx(eps, rel=1e-14)


def test_eps_from_adam_keeps_its_digits_where_the_textbook_formula_loses_them() -> None:
    beta2, small_eps = 0.999, 1e-14
    k = 1 / sqrt(1 - beta2)
    textbook = ((sqrt(k * k + 4 * small_eps) - k) / 2) ** 2
    assert textbook == 0
    assert eps_from_adam(small_eps, beta2) == pytest.approx((1 - beta2) * small_eps**2, rel=1e-12)
    assert eps_from_adam(1e300, beta2) == pytest.approx(1e300)  # where the root is 1e-150 of it
    assert eps_from_adam(0.0, beta2) == adam_eps(0.0, beta2) == 0


@patient
@given(small, beta1s, st.floats(0, 100))
def test_learning_rate_returns_from_adam(lr: float, beta1: float, ratio: float) -> None:
    there = adam_lr(lr, beta1, mean_to_deviation=ratio)
    assert lr_from_adam(there, beta1, mean_to_deviation=ratio) == pytest.approx(lr, rel=1e-14)


@patient
@given(small, small, beta1s, beta2s)
def test_learning_rate_returns_from_sgd(lr: float, eps: float, beta1: float, beta2: float) -> None:
    there = sgd_lr(lr, eps, beta1, beta2)
    assert lr_from_sgd(there, eps, beta1, beta2) == pytest.approx(lr, rel=1e-14)


GOOD: dict[Callable[..., float], dict[str, float]] = {
    denominator_floor: {"eps": 1e-8, "beta2": 0.999},
    adam_eps: {"eps": 1e-8, "beta2": 0.999},
    eps_from_adam: {"adam_eps": 1e-8, "beta2": 0.999},
    adam_lr: {"lr": 1e-3, "beta1": 0.9, "mean_to_deviation": 0},
    lr_from_adam: {"adam_lr": 1e-3, "beta1": 0.9, "mean_to_deviation": 0},
    sgd_lr: {"lr": 1e-3, "eps": 1e-8, "beta1": 0.9, "beta2": 0.999},
    lr_from_sgd: {"sgd_lr": 0.1, "eps": 1e-8, "beta1": 0.9, "beta2": 0.999},
}
BAD: dict[str, tuple[str, list[Any]]] = {
    "beta1": ("(0, 1)", [0.0, 1.0, -0.5, nan, "0.9"]),
    "beta2": ("[0, 1)", [1.0, -0.1, nan, None]),
    "eps": ("[0, inf)", [-1e-8, inf, nan, torch.tensor(1e-8)]),
}


@pytest.mark.parametrize("translation", GOOD)
def test_bad_settings_are_refused_by_name_and_value(translation: Callable[..., float]) -> None:
    good = GOOD[translation]
    assert translation(**good) > 0
    for name in good:
        interval, values = BAD.get(name, BAD["eps"])
        if name == "eps" and "beta1" in good:  # without a floor there is no SGD
            interval, values = "(0, inf)", [0, *values]
        for value in values:
            message = f"{name} must be a number in {interval}, got {value!r}"
            with pytest.raises(ValueError, match=re.escape(message)):
                translation(**good | {name: value})


def test_every_translation_is_tested_and_its_examples_run() -> None:
    assert {translation.__name__ for translation in GOOD} == set(translate.__all__)
    result = doctest.testmod(translate)
    assert result.attempted >= len(GOOD)
    assert result.failed == 0
