r"""The tests of the gradient's noise, and the batch size that they ask for (arXiv 2402.11215, 1710.11258).

A batch of b examples has J parts of equal size; g_j is the mean gradient of part j, over all params at once,
and g that of the batch. The variance of single examples' gradients is estimated from the parts without a bias
as V = (b / J) (sum_j |g_j|^2 - J |g|^2) / (J - 1). With parts of one example it is the sample variance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def variance(squares: float, square: float, parts: int, part_size: float) -> float:
    """Return V, the variance of an example's gradient summed over the params, from sums alone.

    Args:
        squares: the sum of |g_j|^2 over the parts.
        square: |g|^2.
        parts: J, at least 2.
        part_size: examples in a part, b / J.

    Raises:
        ValueError: one part tells no variance.
    """
    if parts < 2:
        raise ValueError(f"the variance is estimated among 2 parts or more, and there is {parts}")
    return part_size * max(0.0, squares - parts * square) / (parts - 1)


def norm_test(variance: float, square: float, eta: float) -> float:
    """Return the examples by which V / b <= eta^2 |g|^2 would hold; infinite at a gradient of 0."""
    return _ratio(variance, eta**2 * square)


def inner_product_test(parts: Tensor, theta: float, part_size: float = 1) -> float:
    """Return the examples by which Var<g_i, g> / b <= theta^2 |g|^4 would hold.

    Args:
        parts: (J, params), the gradient of each part, of all params joined. Variances by tensor would leave
            out what tensors have in common.
        theta: the most noise along the gradient, as a share of its length.
        part_size: examples in a part.
    """
    g = parts.mean(0)
    along = parts @ g
    return _ratio(part_size * along.var().item(), theta**2 * g.dot(g).item() ** 2)


def orthogonality_test(parts: Tensor, nu: float, part_size: float = 1) -> float:
    """Return the examples by which the noise across the gradient would be at most nu |g|.

    Args:
        parts: (J, params), the gradient of each part, of all params joined.
        nu: the most noise across the gradient, as a share of its length.
        part_size: examples in a part.
    """
    g = parts.mean(0)
    square = g.dot(g)
    across = parts - torch.outer(parts @ g / square, g)
    return _ratio(part_size * across.var(0).sum().item(), nu**2 * square.item())


def augmented_test(parts: Tensor, theta: float, nu: float, part_size: float = 1) -> float:
    """Return the examples that the inner-product test and the test of orthogonality both ask for."""
    return max(inner_product_test(parts, theta, part_size), orthogonality_test(parts, nu, part_size))


def next_size(size: int, asked: float, *, factor: float, most: int, unit: int) -> int:
    """Return the size of the next batch: never less than this one.

    Args:
        size: the size of this batch, whole units.
        asked: the examples that a test asks for; it may be infinite.
        factor: the most by which a batch may grow at once.
        most: the most examples of a batch.
        unit: examples in a part; sizes are whole numbers of those.
    """
    units = min(factor * size, most) // unit
    if asked < units * unit:
        units = math.ceil(asked / unit)
    return max(size, int(units) * unit)


def _ratio(noise: float, signal: float) -> float:
    if signal > 0:
        return noise / signal
    return math.inf if noise > 0 else 0.0
