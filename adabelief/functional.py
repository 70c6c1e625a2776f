"""The AdaBelief update of one tensor, once, in the letters and the order of the paper.

Nothing here knows of optimizers: the tensors are real, dense and of one dtype, the hyperparameters are
numbers. The order of the operations is part of the contract, because it fixes every rounding; with it the
result is bit for bit that of ``adabelief-pytorch`` 0.2.1 wherever that is sane.
"""

import math

import torch
from torch import Tensor

__all__ = ["rectification", "update_"]


def rectification(t: float, beta2: float) -> float | None:
    r"""RAdam's factor for step t, with the bias correction of s in it, or None while t is too small.

    .. math::
        \rho_\infty &= 2 / (1 - \beta_2) - 1 \\
        \rho_t &= \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t) \\
        r_t &= \sqrt{\frac{(\rho_t - 4) (\rho_t - 2) \rho_\infty}{(\rho_\infty - 4) (\rho_\infty - 2) \rho_t}}

    Args:
        t: the number of the step, from 1.
        beta2: the decay rate of s.

    Returns:
        :math:`r_t \sqrt{1 - \beta_2^t}` once :math:`\rho_t \ge 5`, else None. At ``beta2 <= 2/3`` that is
        None for every t.

    Example:
        >>> [rectification(t, 0.999) is None for t in (1, 5, 6)]
        [True, True, False]

    References:
        Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, https://arxiv.org/abs/1908.03265
    """
    beta2_t = beta2**t
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t)
    if rho < 5:
        return None
    return math.sqrt((1 - beta2_t) * (rho - 4) / (rho_inf - 4) * (rho - 2) / rho * rho_inf / (rho_inf - 2))


def update_(
    theta: Tensor,
    g: Tensor,
    m: Tensor,
    s: Tensor,
    s_max: Tensor | None = None,
    *,
    t: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = True,
    fixed_decay: bool = False,
    rectify: bool = False,
    maximize: bool = False,
) -> None:
    r"""Take step t: change theta, m, s (and s_max) in place, and leave g as it is.

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        s_t &= \beta_2 s_{t-1} + (1 - \beta_2) (g_t - m_t)^2 + \epsilon \\
        \hat m_t &= m_t / (1 - \beta_1^t) \qquad \hat s_t = s_t / (1 - \beta_2^t) \\
        \theta_t &= \theta_{t-1} - \mathrm{lr} \; \hat m_t / (\sqrt{\hat s_t} + \epsilon)

    There are two eps. The one inside s is added at every step and so accumulates: its share of
    :math:`\hat s_t` is :math:`\epsilon / (1 - \beta_2)` at every t. The other stands outside the root.

    Before that, ``maximize`` turns the sign of g, and the weight decay :math:`\lambda` either shrinks theta
    (decoupled: by :math:`1 - \mathrm{lr} \lambda`; fixed: by :math:`1 - \lambda`) or joins g (coupled:
    :math:`g + \lambda \theta`). ``s_max`` (AMSGrad) keeps the largest s so far, which then takes the place of
    s in the last line. ``rectify`` makes the last line

    .. math::
        \theta_t = \theta_{t-1} - \mathrm{lr} \; r_t \sqrt{1 - \beta_2^t} \;
            \hat m_t / (\sqrt{s_t} + \epsilon)

    and, while :math:`r_t` is undefined, :math:`\theta_t = \theta_{t-1} - \mathrm{lr} \; \hat m_t`: plain
    SGD, whose steps grow with the gradient.

    Args:
        theta: the parameter.
        g: its gradient.
        m: the mean of the gradients, zeros before step 1.
        s: the variance of the gradients about that mean, zeros before step 1.
        s_max: the largest s so far, zeros before step 1; None for no AMSGrad.
        t: the number of this step, from 1.
        lr: the learning rate; at 0 theta keeps every bit, whatever the decay, while m and s move on.
        beta1: the decay rate of m, in (0, 1).
        beta2: the decay rate of s, in [0, 1).
        eps: added to s and to its root.
        weight_decay: the weight decay.
        decoupled_weight_decay: whether the decay shrinks theta rather than joins g.
        fixed_decay: whether the decoupled decay is not scaled by lr.
        rectify: whether to rectify the step as RAdam does.
        maximize: whether to ascend.

    Example:
        The first step goes lr / beta1 against the sign of the gradient, whatever its size:

        >>> import torch
        >>> theta, m, s = torch.ones(2), torch.zeros(2), torch.zeros(2)
        >>> update_(theta, torch.tensor([5.0, -1e-3]), m, s, t=1, lr=0.09, beta1=0.9, beta2=0.999, eps=1e-16)
        >>> theta
        tensor([0.9000, 1.1000])

    References:
        Zhuang et al., AdaBelief Optimizer, Algorithm 2, https://arxiv.org/abs/2010.07468
    """
    if maximize:
        g = -g
    if weight_decay != 0 and not decoupled_weight_decay:
        g = g.add(theta, alpha=weight_decay)
    elif weight_decay != 0 and lr != 0:
        theta.mul_(1 - (weight_decay if fixed_decay else lr * weight_decay))

    m.mul_(beta1).add_(g, alpha=1 - beta1)
    deviation = g - m
    s.mul_(beta2).addcmul_(deviation, deviation, value=1 - beta2).add_(eps)
    if s_max is not None:
        s = torch.maximum(s_max, s, out=s_max)
    if lr == 0:
        return  # else 0 * m / denominator could still turn -0.0 into 0.0, or 0 / 0 into nan

    correction1, correction2 = 1 - beta1**t, 1 - beta2**t
    if not rectify:
        denominator = s.sqrt().div_(math.sqrt(correction2)).add_(eps)
        theta.addcdiv_(m, denominator, value=-(lr / correction1))
    elif (r := rectification(t, beta2)) is not None:
        theta.addcdiv_(m, s.sqrt().add_(eps), value=-(r / correction1) * lr)
    else:
        theta.add_(m, alpha=-(1 / correction1) * lr)
