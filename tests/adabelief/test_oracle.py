"""The whole optimizer against the equations, written out for one number in plain Python floats."""

from itertools import product
from math import sqrt
from random import Random
from typing import Any

import pytest
import torch

from adabelief import AdaBelief

STEPS, ENTRIES = 50, 5


def oracle(
    theta: float,
    gradients: list[float],
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    fixed_decay: bool,
    rectify: bool,
    amsgrad: bool,
    maximize: bool,
) -> float:
    b1, b2 = betas
    m = s = s_max = 0.0
    rho_inf = 2 / (1 - b2) - 1
    for t, gradient in enumerate(gradients, start=1):
        g = -gradient if maximize else gradient
        if not decoupled_weight_decay:
            g += weight_decay * theta
        elif fixed_decay:
            theta -= weight_decay * theta
        else:
            theta -= lr * weight_decay * theta
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        s_max = max(s_max, s)
        m_hat = m / (1 - b1**t)
        variance = s_max if amsgrad else s
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        if not rectify:
            theta -= lr * m_hat / (sqrt(variance / (1 - b2**t)) + eps)
        elif rho >= 5:
            r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            theta -= lr * r * m_hat * sqrt(1 - b2**t) / (sqrt(variance) + eps)
        else:
            theta -= lr * m_hat
    return theta


DECAYS: list[dict[str, Any]] = [
    {"weight_decay": 0.0, "decoupled_weight_decay": True, "fixed_decay": False},
    {"weight_decay": 0.1, "decoupled_weight_decay": True, "fixed_decay": False},
    {"weight_decay": 0.01, "decoupled_weight_decay": True, "fixed_decay": True},
    {"weight_decay": 0.1, "decoupled_weight_decay": False, "fixed_decay": False},
]


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_equations(decay: dict[str, Any], rectify: bool, amsgrad: bool) -> None:
    flags = {"rectify": rectify, "amsgrad": amsgrad}
    for maximize, betas, eps in product([False, True], [(0.9, 0.999), (0.5, 0.9)], [1e-2, 1e-8, 1e-16]):
        settings = {"lr": 1e-2, "betas": betas, "eps": eps, "maximize": maximize, **flags, **decay}
        random = Random(0)
        # Away from 0, so that a relative tolerance means something; no step is larger than a few lr.
        start = [random.uniform(2, 4) for _ in range(ENTRIES)]
        # The scale shrinks along the way, so that the largest s is not always the latest.
        gradients = [[random.gauss(0.3, 1) * 0.9**t for _ in range(ENTRIES)] for t in range(STEPS)]

        theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimizer = AdaBelief([theta], **settings)
        for g in gradients:
            theta.grad = torch.tensor(g, dtype=torch.float64)
            optimizer.step()

        expected = [oracle(start[i], [g[i] for g in gradients], **settings) for i in range(ENTRIES)]
        # 50 steps of some ten roundings of 1e-16 each, of which g - m may amplify some by 10 to 100.
        assert theta.tolist() == pytest.approx(expected, rel=1e-12, abs=0)
