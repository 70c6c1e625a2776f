"""Functions of each entry and means, with the same bits in any company of a stack.

For some functions (sigmoid, softplus, SiLU) torch computes the entries at the end of a tensor by another
formula than the rest, and it adds up in an order that depends on how a tensor lies in memory. A network's
bits would then depend on the networks beside it. These are made of functions that have one formula.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

GELU_SCALE = math.sqrt(2 / math.pi)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)); 0 where exp(-x) overflows, which is right to 1e-38."""
    return x.neg().exp().add(1).reciprocal()


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without overflow; its slope at 0 is a half."""
    return torch.maximum(x, torch.zeros_like(x)) + x.abs().neg().exp().log1p()


def mean(values: Tensor) -> Tensor:
    """The mean of all entries: added up as if they lay in memory in their order, which under `vmap` they may
    not."""
    return values.flatten().contiguous().mean()


def gelu(x: Tensor) -> Tensor:
    """x times about the normal distribution function, by tanh: `nn.GELU(approximate="tanh")`."""
    inner = (x * x * x * 0.044715 + x) * GELU_SCALE
    return (inner.tanh() + 1) * 0.5 * x
