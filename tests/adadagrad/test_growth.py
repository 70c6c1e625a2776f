"""What the tests of the gradient's noise ask for, where it is known in closed form.

Gradients are drawn: G is the mean, and Sigma the covariance, of single examples' gradients.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adadagrad import Gathered, Growth
from adadagrad.growth import (
    augmented_test,
    inner_product_test,
    next_size,
    norm_test,
    orthogonality_test,
    variance,
)

MANY = 20_000
"""Params, so that lengths and variances are within sqrt(2 / MANY), 1%, of what is expected of them."""


def drawn(count: int, mean: Tensor, *, sigma: float = 1.0, size: int = 1, seed: int = 0) -> Tensor:
    """The mean gradients (count, params) of so many parts of `size` examples, with the noise sigma^2 I."""
    noise = torch.randn(count, len(mean), generator=torch.Generator().manual_seed(seed), dtype=mean.dtype)
    return mean + noise * sigma / math.sqrt(size)


def asked(parts: Tensor, eta: float, *, size: int = 1) -> float:
    """What the norm test asks for."""
    square = parts.mean(0).square().sum().item()
    return norm_test(variance(parts.square().sum().item(), square, len(parts), size), square, eta)


def test_the_noise_along_and_across_the_gradient_is_all_of_it() -> None:
    """Of any batch: V = Var<g_i, g> / |g|^2 + V across, in exact arithmetic."""
    parts = drawn(32, torch.linspace(-1, 1, 7, dtype=torch.float64), sigma=0.7)
    eta, theta, nu = 0.4, 0.9, 3.0
    along, across = inner_product_test(parts, theta), orthogonality_test(parts, nu)
    assert eta**2 * asked(parts, eta) == pytest.approx(theta**2 * along + nu**2 * across, rel=1e-12)
    assert augmented_test(parts, theta, nu) == max(along, across)


def test_the_same_noise_in_every_direction() -> None:
    """Then the tests ask for d, 1 and d - 1 times sigma^2 / |G|^2, each over its own square."""
    d, sigma, count = 50, 2.0, 40_000
    mean = torch.full((d,), 2.0 / math.sqrt(d), dtype=torch.float64)  # |G| = 2
    parts = drawn(count, mean, sigma=sigma)
    eta, theta, nu = 0.5, 0.7, 5.0
    # The variance of one normal variable has the relative error sqrt(2 / count), and |g|^2 twice that of |g|.
    tolerance = 5 * math.sqrt(2 / count) + 4 * sigma / (2 * math.sqrt(count))
    assert asked(parts, eta) == pytest.approx(d * sigma**2 / (eta**2 * 4), rel=tolerance)
    assert inner_product_test(parts, theta) == pytest.approx(sigma**2 / (theta**2 * 4), rel=tolerance)
    assert orthogonality_test(parts, nu) == pytest.approx((d - 1) * sigma**2 / (nu**2 * 4), rel=tolerance)


@pytest.mark.parametrize("eta", [0.3, 0.5, 0.8])
def test_at_a_fixed_place_the_batch_grows_to_where_the_test_is_just_met(eta: float) -> None:
    """As E|g|^2 = |G|^2 + tr(Sigma) / b, that is at (1 - eta^2) tr(Sigma) / (eta^2 |G|^2)."""
    trace, square, micro = 200.0, 1.0, 8
    mean = torch.full((MANY,), math.sqrt(square / MANY), dtype=torch.float64)
    gathered = Gathered([Growth(eta, start=32, factor=1000.0, most=10**6, micro=micro)], mean)
    sizes = [gathered.sizes[0]]
    for step in range(12):
        generator = torch.Generator().manual_seed(step)
        while gathered.after(0, last=False) == [None]:
            noise = torch.randn(1, MANY, generator=generator, dtype=mean.dtype)
            gathered.add(mean + noise * math.sqrt(trace / MANY / micro), micro)
        gathered.close([0])
        sizes.append(gathered.sizes[0])
    assert sizes == sorted(sizes)
    # Rounding up to whole micro-batches, and the luckiest of 12 tests, as a batch never shrinks.
    expected = (1 - eta**2) * trace / (eta**2 * square)
    assert expected * 0.95 < sizes[-1] < expected * 1.1 + 2 * micro


@pytest.mark.parametrize("eta", [0.3, 0.5, 0.8])
def test_at_a_stationary_point_a_test_multiplies_the_batch_by_the_square_of_eta(eta: float) -> None:
    parts = drawn(16, torch.zeros(MANY, dtype=torch.float64), size=4)
    # |g|^2 and V are means of MANY squares: 1% each, and 5 of those.
    assert asked(parts, eta, size=4) == pytest.approx(64 / eta**2, rel=5 * math.sqrt(2 * 2 / MANY))


def test_parts_tell_the_variance_without_a_bias() -> None:
    """With parts of several examples as well; its standard deviation is tr(Sigma) sqrt(2 / ((J - 1) d))."""
    d, count, size, draws = 50, 8, 5, 3000
    mean = torch.ones(d, dtype=torch.float64)
    found = []
    for seed in range(draws):
        parts = drawn(count, mean, sigma=2.0, size=size, seed=seed)
        square = parts.mean(0).square().sum().item()
        found.append(variance(parts.square().sum().item(), square, count, size))
    trace = 4.0 * d
    deviation = trace * math.sqrt(2 / ((count - 1) * d))
    samples = torch.tensor(found, dtype=torch.float64)
    assert samples.mean().item() == pytest.approx(trace, abs=4 * deviation / math.sqrt(draws))
    assert samples.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * draws))


def test_tensors_that_move_together_are_taken_together() -> None:
    """The sum of two tensors' own variances along the gradient would be half of the true one."""
    one = drawn(64, torch.ones(3, dtype=torch.float64))
    both = torch.cat([one, one], dim=1)
    square = one.mean(0).square().sum().item()
    apart = 2 * (one @ one.mean(0)).var().item() / (2 * square) ** 2
    assert inner_product_test(both, 1.0) == pytest.approx(2 * apart, rel=1e-12)


def test_a_size_is_whole_parts_never_shrinks_and_is_capped() -> None:
    def grown(asked: float, *, size: int = 32, factor: float = 2.0, most: int = 100) -> int:
        return next_size(size, asked, factor=factor, most=most, unit=8)

    assert [grown(one) for one in (0.0, 31.0, 33.0, 40.0, 41.0)] == [32, 32, 40, 40, 48]
    assert [grown(one) for one in (64.0, 1e9, math.inf)] == [64, 64, 64]
    assert [grown(one, size=64) for one in (97.0, math.inf)] == [96, 96]  # of at most 100, in eights
    assert grown(math.inf, size=96) == 96
    assert grown(math.inf, size=104) == 104


def test_a_gradient_of_0_asks_for_all_or_nothing() -> None:
    assert norm_test(1.0, 0.0, 0.5) == math.inf
    assert norm_test(0.0, 0.0, 0.5) == 0.0


def test_one_part_tells_no_variance() -> None:
    with pytest.raises(ValueError, match="2 parts or more"):
        variance(1.0, 1.0, 1, 8)
