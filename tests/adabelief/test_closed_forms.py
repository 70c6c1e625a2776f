"""What the recursion adds up to where that can be worked out on paper. All in float64."""

from math import sqrt

import pytest
import torch
from torch import Tensor

from adabelief.functional import rectification, update_


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_zero_gradients_leave_only_eps_in_s() -> None:
    theta, g, m, s = (torch.zeros(3, dtype=torch.float64) for _ in range(4))
    for t in range(1, 501):
        update_(theta, g, m, s, t=t, lr=1.0, beta1=0.9, beta2=0.99, eps=1e-16)
        # s is rounded twice a step, and 1 - beta2 carries a relative error of 1e-16 / 0.01.
        assert s.tolist() == pytest.approx([1e-16 * (1 - 0.99**t) / (1 - 0.99)] * 3, rel=1e-12, abs=0)
    assert theta.tolist() == [0.0] * 3


def test_share_of_eps_in_the_corrected_s_is_the_same_at_every_step() -> None:
    generator = torch.Generator().manual_seed(0)
    theta, m, s, m0, s0 = (torch.zeros(5, dtype=torch.float64) for _ in range(5))
    for t in range(1, 101):
        g = torch.randn(5, generator=generator, dtype=torch.float64)
        update_(theta, g, m, s, t=t, lr=0.0, beta1=0.9, beta2=0.99, eps=1e-2)
        update_(theta, g, m0, s0, t=t, lr=0.0, beta1=0.9, beta2=0.99, eps=0.0)
        share = (s - s0) / (1 - 0.99**t)
        # eps / (1 - beta2) = 1: s and s0 are of that size, so their difference keeps nearly all digits.
        assert share.tolist() == pytest.approx([1e-2 / (1 - 0.99)] * 5, rel=1e-11)


@pytest.mark.parametrize("beta1", [0.9, 0.5, 0.1])
def test_first_step_is_lr_over_beta1_against_the_sign(beta1: float) -> None:
    theta, m, s = (torch.zeros(4, dtype=torch.float64) for _ in range(3))
    update_(theta, float64(3, -3, 1e-4, -1e4), m, s, t=1, lr=0.1, beta1=beta1, beta2=0.999, eps=0.0)
    # g - m = beta1 g loses at most a digit at beta1 = 0.1.
    assert theta.tolist() == pytest.approx([-0.1 / beta1, 0.1 / beta1, -0.1 / beta1, 0.1 / beta1], rel=1e-14)


def test_constant_gradient_travels_far_beyond_adam() -> None:
    # m_t = (1 - b1^t) g and g - m_t = b1^t g, so s is a geometric sum; Adam would have traveled t.
    b1, b2, eps = 0.9, 0.999, 1e-16
    theta, m, s = (torch.zeros(1, dtype=torch.float64) for _ in range(3))
    traveled, expected = {}, 0.0
    for t in range(1, 501):
        update_(theta, float64(1), m, s, t=t, lr=1.0, beta1=b1, beta2=b2, eps=eps)
        noise = (1 - b2) * b1**2 * (b2**t - b1 ** (2 * t)) / (b2 - b1**2)
        expected += 1 / (sqrt(noise / (1 - b2**t) + eps / (1 - b2)) + eps)
        traveled[t] = -theta.item()
        # g - m is exact to 1e-16, which by step 100 is 1e-11 of b1^t, but of little weight in s by then.
        assert traveled[t] == pytest.approx(expected, rel=1e-11)
    # Three digits, as they were published with the analysis of this effect.
    table = {1: 1.11, 10: 13.7, 100: 333, 500: 3902}
    assert {t: traveled[t] for t in table} == pytest.approx(table, rel=5e-3)


def test_step_is_bounded_by_the_floor_of_the_denominator() -> None:
    b2, eps = 0.9, 1e-4
    bound = 0.1 * 7 / (sqrt(eps / (1 - b2)) + eps)
    theta, m, s = (torch.zeros(1, dtype=torch.float64) for _ in range(3))
    step = 0.0
    for t in range(1, 501):
        before = theta.item()
        update_(theta, float64(7), m, s, t=t, lr=0.1, beta1=0.9, beta2=b2, eps=eps)
        step = before - theta.item()
        # theta is some 1e4 and so known to 2e-12, of which the step of 20 is a difference.
        assert step <= bound * (1 + 1e-11)
    assert step == pytest.approx(bound, rel=1e-11)


@pytest.mark.parametrize("beta1", [0.9, 0.5])
@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 1.0), (3.0, 0.5)])
def test_stationary_noise(beta1: float, mean: float, sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    theta, m, s = (torch.zeros(4000, dtype=torch.float64) for _ in range(3))
    for t in range(1, 501):
        g = mean + sigma * torch.randn(4000, generator=generator, dtype=torch.float64)
        update_(theta, g, m, s, t=t, lr=0.0, beta1=beta1, beta2=0.98, eps=1e-16)
    # One entry's s varies by 14%, the mean of 4000 by some 0.2%: 1% is more than four standard errors.
    assert s.mean().item() == pytest.approx(sigma**2 * 2 * beta1**2 / (1 + beta1), rel=1e-2)


def test_large_eps_is_sgd_with_an_averaged_gradient() -> None:
    b1, b2, eps, lr = 0.9, 0.999, 1e8, 1e7
    generator = torch.Generator().manual_seed(0)
    theta = torch.full((5,), 10.0, dtype=torch.float64)
    expected, m, s, mean = theta.clone(), *(torch.zeros(5, dtype=torch.float64) for _ in range(3))
    for t in range(1, 101):
        g = torch.randn(5, generator=generator, dtype=torch.float64)
        update_(theta, g, m, s, t=t, lr=lr, beta1=b1, beta2=b2, eps=eps)
        mean = b1 * mean + (1 - b1) * g
        expected -= lr / (sqrt(eps / (1 - b2)) + eps) * mean / (1 - b1**t)
    # The variance of g, about 1, is 1e-11 of eps / (1 - b2), and the root of that 0.3% of the denominator.
    assert theta.tolist() == pytest.approx(expected.tolist(), rel=1e-11)


def test_rectification_follows_its_table() -> None:
    table = {6: 0.026, 10: 0.049, 50: 0.148, 100: 0.215, 500: 0.476, 1000: 0.645, 3000: 0.918}
    r = {t: rectification(t, 0.999) / sqrt(1 - 0.999**t) for t in table}
    assert r == pytest.approx(table, abs=5.1e-4)  # the table has three decimals
    assert all(rectification(t, 0.999) == 0 for t in range(1, 6))
    assert rectification(10**6, 0.999) == pytest.approx(1.0)


@pytest.mark.parametrize("beta2", [0.0, 0.5, 2 / 3])
def test_short_memory_is_never_rectified(beta2: float) -> None:
    assert all(rectification(t, beta2) == 0 for t in range(1, 1000))


def test_unrectified_steps_are_sgd() -> None:
    theta, m, s = float64(1.0), float64(0.0), float64(0.0)
    update_(theta, float64(1e4), m, s, t=1, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-16, rectify=True)
    # m / (1 - beta1) gives g back but for the rounding of 1 - beta1.
    assert theta.item() == pytest.approx(1.0 - 1e-3 * 1e4, rel=1e-14)
