r"""The update without a compiler: the last lines in the fused kernel that torch has for its own Adam.

Given the deviation :math:`d = g - m_t` for a gradient, Adam's kernel does to s what AdaBelief asks, but for
the eps, which can be added before, and divides by its root. What it divides would be Adam's first moment, a
blend of m and d. With :math:`\beta_1'` so near to 1 that nothing of d is blended in, that is :math:`m_t`, and
the learning rate makes up for the bias correction that belongs to it:

.. math::
    s_t &= \beta_2 (s_{t-1} + \epsilon / \beta_2) + (1 - \beta_2) d^2 \\
    \theta_t &= \theta_{t-1} - \frac{\mathrm{lr}'}{1 - \beta_1'^t} \;
        \frac{m_t + (1 - \beta_1') (d - m_t)}{\sqrt{s_t / (1 - \beta_2^t)} + \epsilon'}

That is four passes for the ten of the plain operations, and equal to them but for the last bits.
"""

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor

from adabelief.functional import Coefficients
from adabelief.steps.param_views import Kind

__all__ = ["descend_", "deviate_", "suits", "update_"]

NEAR_ONE = 1 - 2**-30
"""Adam's beta1: what it blends in is below the last bit of m in float32, unless d is some 60 times m."""


def suits(c: Coefficients, kind: Kind | None) -> bool:
    """Whether the kernel can take this step: float32 on a CPU, numbers as coefficients, a denominator."""
    if kind is None or kind[:2] != (torch.float32, torch.float32) or kind[2].type != "cpu":
        return False
    if isinstance(c.size, Tensor):
        return False
    return bool(c.size != 0 and c.beta2 != 0 and c.root != math.inf)


def update_(columns: Sequence[Sequence[Tensor]], c: Coefficients, work: Tensor | None = None) -> None:
    """Take the step that c holds for several parameters at once.

    Args:
        columns: their theta, their g, their m, their s and, with AMSGrad, their s_max.
        c: the coefficients, which ``suits`` has agreed to.
        work: memory for the deviation, where there is one parameter; without it, it is allocated.
    """
    theta, g, m, s, *s_max = map(list, columns)
    if c.sign == -1:
        g = list(torch._foreach_neg(g))
    if c.coupled != 0:
        g = list(torch._foreach_add(g, theta, alpha=cast(float, c.coupled)))
    if c.shrink != 1:
        torch._foreach_mul_(theta, cast(float, c.shrink))
    torch._foreach_lerp_(m, g, cast(float, c.gain1))
    d = list(torch._foreach_sub(g, m)) if work is None else [torch.sub(g[0], m[0], out=work)]
    torch._foreach_add_(s, cast(float, c.eps) / cast(float, c.beta2))
    descend_(theta, d, m, s, s_max[0] if s_max else [], c)


def deviate_(
    theta: Tensor, g: Tensor, m: Tensor, s: Tensor, rows: Sequence[Coefficients], work: Tensor
) -> None:
    """What of the step comes before the kernel, for runs whose tensors are the rows of one.

    Each row is changed to the bit as ``update_`` changes it with its own coefficients, which are to descend
    by a decay that is decoupled. The deviations come to stand in ``work``.
    """
    table = array("f", chain.from_iterable((c.shrink, c.gain1, c.eps / c.beta2) for c in cast(Any, rows)))
    shrink, gain1, eps = torch.frombuffer(table, dtype=torch.float32).view(len(rows), 3, 1).unbind(1)
    if any(c.shrink != 1 for c in rows):
        theta.mul_(shrink)
    m.lerp_(g, gain1)
    torch.sub(g, m, out=work)
    s.add_(eps)


def descend_(
    theta: list[Tensor],
    d: list[Tensor],
    m: list[Tensor],
    s: list[Tensor],
    s_max: list[Tensor],
    c: Coefficients,
) -> None:
    """The kernel: s takes up the deviations d, and theta steps."""
    t, beta2, eps, root, size = (float(cast(float, x)) for x in (c.t, c.beta2, c.eps, c.root, c.size))
    # Where rectified, root is 1, not what the kernel divides by: both of its terms are scaled.
    scale = root / math.sqrt(1 - beta2**t)
    torch._fused_adam_(
        theta,
        d,
        m,
        s,
        s_max,
        [_count(t)] * len(theta),
        lr=size * scale * (1 - NEAR_ONE**t),
        beta1=NEAR_ONE,
        beta2=beta2,
        weight_decay=0.0,
        eps=eps * scale,
        amsgrad=bool(s_max),
        maximize=False,
    )


@lru_cache(maxsize=64)
def _count(t: float) -> Tensor:
    """The number of a step as the kernel takes it, which reads it alone: one for all that take that step."""
    return torch.tensor(t, dtype=torch.float32, device="cpu")
