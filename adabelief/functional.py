"""The AdaBelief update of one tensor, once, in the letters and the order of the paper.

Every path of the optimizer runs these lines: tensor by tensor, packed, compiled, captured in a graph, under
autograd. The one exception is ``steps.adam_fallback``, which stands in if a kernel is wanted and there is no
compiler. The tensors are real, dense and of one dtype. A hyperparameter is a number, or a tensor that
broadcasts against theta: of 0 dimensions where reading its value would stop a device, or a column where the
rows of theta belong to different runs.

With numbers, the order of the operations is part of the contract, because it fixes every rounding; with it
the result is bit for bit that of ``adabelief-pytorch`` 0.2.1 wherever that is sane. The columns that
``columns`` makes of numbers round as those do.
"""

import math
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, cast

import torch
from torch import Tensor

__all__ = ["Coefficients", "apply_", "coefficients", "columns", "rectification", "update_"]

Scalar = float | Tensor


class Coefficients(NamedTuple):
    r"""All that step t multiplies its tensors by, worked out before any of them is touched."""

    t: Scalar
    """The number of the step, from 1."""
    sign: Scalar
    """Factor of g: -1 to ascend."""
    coupled: Scalar
    r"""How much of theta joins g: :math:`\lambda` of the coupled weight decay, else 0."""
    shrink: Scalar
    r"""Factor of theta: :math:`1 - \mathrm{lr} \lambda` of the decoupled weight decay, else 1."""
    beta1: Scalar
    gain1: Scalar
    r""":math:`1 - \beta_1`"""
    beta2: Scalar
    gain2: Scalar
    r""":math:`1 - \beta_2`"""
    eps: Scalar
    root: Scalar
    r""":math:`\sqrt{1 - \beta_2^t}`; 1 where it stands in ``size``; infinite for no denominator at all."""
    unroot: Scalar | None
    """1 / root, by which tensors are multiplied: a kernel would divide anew for every entry. None where root
    is a column of finite numbers, by which they are divided."""
    size: Scalar
    r"""The step size: :math:`\mathrm{lr} / (1 - \beta_1^t)`, rectified where that is on."""


def rectification(t: Scalar, beta2: Scalar) -> Scalar:
    r"""RAdam's factor for step t, with the bias correction of s in it, or 0 while t is too small.

    .. math::
        \rho_\infty &= 2 / (1 - \beta_2) - 1 \\
        \rho_t &= \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t) \\
        r_t &= \sqrt{\frac{(\rho_t - 4) (\rho_t - 2) \rho_\infty}{(\rho_\infty - 4) (\rho_\infty - 2) \rho_t}}

    Args:
        t: the number of the step, from 1.
        beta2: the decay rate of s.

    Returns:
        :math:`r_t \sqrt{1 - \beta_2^t}` once :math:`\rho_t \ge 5`, else 0. At ``beta2 <= 2/3`` that is 0 for
        every t.

    Example:
        >>> [rectification(t, 0.999) == 0 for t in (1, 5, 6)]
        [True, True, False]

    References:
        Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, https://arxiv.org/abs/1908.03265
    """
    beta2_t = beta2**t
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t)
    if not isinstance(rho, Tensor) and rho < 5:
        return 0.0
    square = (1 - beta2_t) * (rho - 4) / (rho_inf - 4) * (rho - 2) / rho * rho_inf / (rho_inf - 2)
    return torch.where(rho < 5, 0.0, _sqrt(square)) if isinstance(rho, Tensor) else _sqrt(square)


def coefficients(
    *,
    t: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar = 0.0,
    decoupled_weight_decay: bool = True,
    fixed_decay: bool = False,
    rectify: bool = False,
    rectify_fallback: str = "sgd",
    maximize: bool = False,
) -> Coefficients:
    """The scalars of step t, by which ``apply_`` multiplies the tensors.

    Args:
        t: the number of the step, from 1.
        lr: the learning rate, >= 0.
        beta1: the decay rate of m, in (0, 1).
        beta2: the decay rate of s, in [0, 1).
        eps: added to s and to its root, >= 0.
        weight_decay: the weight decay, >= 0.
        decoupled_weight_decay: whether the decay shrinks theta rather than joins g.
        fixed_decay: whether the decoupled decay is not scaled by lr.
        rectify: whether to rectify the step as RAdam does.
        rectify_fallback: ``"sgd"`` or ``"skip"``: what to do while that is undefined.
        maximize: whether to ascend.

    Returns:
        Numbers; tensors where the arguments that they depend on are tensors.

    Example:
        >>> coefficients(t=1, lr=0.1, beta1=0.5, beta2=0.75, eps=1e-8).size
        0.2
    """
    shrink: Scalar = 1.0
    if decoupled_weight_decay:
        decay = weight_decay if fixed_decay else lr * weight_decay
        none = torch.ones_like(lr) if isinstance(lr, Tensor) else 1.0
        shrink = _where(lr == 0, none, 1 - decay)
    correction1, correction2 = 1 - beta1**t, 1 - beta2**t
    if rectify:
        r = rectification(t, beta2)
        root = _where(r == 0, math.inf, 1.0)
        size = _where(r == 0, 1.0 if rectify_fallback == "sgd" else 0.0, r) / correction1 * lr
    else:
        root, size = _sqrt(correction2), lr / correction1
    return Coefficients(
        t=t,
        sign=-1.0 if maximize else 1.0,
        coupled=0.0 if decoupled_weight_decay else weight_decay,
        shrink=shrink,
        beta1=beta1,
        gain1=1 - beta1,
        beta2=beta2,
        gain2=1 - beta2,
        eps=eps,
        root=root,
        unroot=1 / root,
        size=size,
    )


def columns(rows: Sequence[Coefficients], like: Tensor) -> Coefficients | None:
    """The coefficients of runs whose tensors are the rows of one, as columns of the dtype and device of it.

    Args:
        rows: those of each run, in numbers.
        like: one of the tensors, (runs, entries).

    Returns:
        What makes ``apply_`` change each row to the bit as its own numbers would; None where some run has a
        step that is not like the others: of size 0, or without a denominator.

    Example:
        >>> import torch
        >>> rows = [coefficients(t=1, lr=lr, beta1=0.5, beta2=0.75, eps=1e-8) for lr in (0.1, 0.2)]
        >>> columns(rows, like=torch.zeros(2, 3)).size
        tensor([[0.2000],
                [0.4000]])
    """
    if any(c.size == 0 or c.root == math.inf for c in rows):
        return None
    numbers = array("d" if like.dtype == torch.float64 else "f", chain(*cast(list[tuple[float, ...]], rows)))
    table = torch.frombuffer(numbers, dtype=like.dtype).to(like.device)  # a third of the time of torch.tensor
    table_of_columns = Coefficients(*table.view(len(rows), -1, 1).unbind(1))
    idle = {"sign": 1.0, "coupled": 0.0, "shrink": 1.0}
    spared = {name: value for name, value in idle.items() if all(getattr(c, name) == value for c in rows)}
    return table_of_columns._replace(unroot=None, **spared)


def apply_(
    theta: Tensor,
    g: Tensor,
    m: Tensor,
    s: Tensor,
    s_max: Tensor | None,
    c: Coefficients,
    work: Tensor | None = None,
) -> None:
    """Take the step that c holds: change theta, m, s (and s_max) in place, and leave g as it is.

    Args:
        theta, g, m, s, s_max: as in ``update_``.
        c: the step's coefficients; numbers that change nothing cost nothing.
        work: memory of theta's shape for the values in between; without it they are allocated, as autograd
            needs.

    Example:
        >>> import torch
        >>> theta, m, s = torch.ones(2), torch.zeros(2), torch.zeros(2)
        >>> c = coefficients(t=1, lr=0.09, beta1=0.9, beta2=0.999, eps=1e-16)
        >>> apply_(theta, torch.tensor([5.0, -1e-3]), m, s, None, c)
        >>> theta
        tensor([0.9000, 1.1000])
    """
    if not _is(c.sign, 1):
        g = torch.mul(g, c.sign, out=work)
    if isinstance(c.coupled, Tensor):
        g = torch.addcmul(g, theta, c.coupled, out=work)
    elif c.coupled != 0:
        g = torch.add(g, theta, alpha=c.coupled, out=work)
    if not _is(c.shrink, 1):
        theta.mul_(c.shrink)

    _add_(m.mul_(c.beta1), g, c.gain1)
    deviation = torch.sub(g, m, out=work)
    _addcmul_(s.mul_(c.beta2), deviation, deviation, c.gain2).add_(c.eps)
    if s_max is not None:
        s = s_max.clamp_(min=s)
    if _is(c.size, 0):
        return  # else 0 * m / denominator could still turn -0.0 into 0.0, or 0 / 0 into nan

    if _is(c.root, math.inf):
        _add_(theta, m, -c.size)
        return
    denominator = torch.sqrt(s, out=work)
    if c.unroot is None:
        denominator = torch.div(denominator, c.root, out=work)
        theta.addcdiv_(m * -c.size, torch.add(denominator, c.eps, out=work))
        return
    if isinstance(c.unroot, Tensor):
        denominator = torch.where(c.unroot == 0, 1.0, denominator * c.unroot + c.eps)
    else:
        if c.root != 1:
            denominator = torch.div(denominator, c.root, out=work)
        denominator = torch.add(denominator, c.eps, out=work)
    if isinstance(c.size, Tensor):
        theta.sub_(torch.where(c.size == 0, 0.0, m / denominator * c.size))
    else:
        theta.addcdiv_(m, denominator, value=-c.size)


def update_(
    theta: Tensor,
    g: Tensor,
    m: Tensor,
    s: Tensor,
    s_max: Tensor | None = None,
    *,
    t: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar = 0.0,
    decoupled_weight_decay: bool = True,
    fixed_decay: bool = False,
    rectify: bool = False,
    rectify_fallback: str = "sgd",
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
    SGD, whose steps grow with the gradient; or nothing, where ``rectify_fallback`` is ``"skip"``.

    Args:
        theta: the parameter, of any shape.
        g: its gradient, like the other tensors of theta's shape.
        m: the mean of the gradients, zeros before step 1.
        s: the variance of the gradients about that mean, zeros before step 1.
        s_max: the largest s so far, zeros before step 1; None for no AMSGrad.
        t: the number of this step, from 1.
        lr: the learning rate; at 0 theta keeps its value, whatever the decay, while m and s move on.
        beta1: the decay rate of m, in (0, 1).
        beta2: the decay rate of s, in [0, 1).
        eps: added to s and to its root.
        weight_decay: the weight decay.
        decoupled_weight_decay: whether the decay shrinks theta rather than joins g.
        fixed_decay: whether the decoupled decay is not scaled by lr.
        rectify: whether to rectify the step as RAdam does.
        rectify_fallback: ``"sgd"`` or ``"skip"``: what to do while that is undefined.
        maximize: whether to ascend.

    Example:
        The first step goes lr / beta1 against the sign of the gradient, whatever its size:

        >>> import torch
        >>> theta, m, s = torch.ones(2), torch.zeros(2), torch.zeros(2)
        >>> update_(theta, torch.tensor([5.0, -1e-3]), m, s, t=1, lr=0.09, beta1=0.9, beta2=0.999, eps=1e-16)
        >>> theta
        tensor([0.9000, 1.1000])

        Two runs at once, each with a learning rate of its own:

        >>> theta, g, m, s = torch.ones(2, 3), torch.ones(2, 3), torch.zeros(2, 3), torch.zeros(2, 3)
        >>> lr = torch.tensor([[0.09], [0.18]])
        >>> update_(theta, g, m, s, t=1, lr=lr, beta1=0.9, beta2=0.999, eps=1e-16)
        >>> theta
        tensor([[0.9000, 0.9000, 0.9000],
                [0.8000, 0.8000, 0.8000]])

    References:
        Zhuang et al., AdaBelief Optimizer, Algorithm 2, https://arxiv.org/abs/2010.07468
    """
    c = coefficients(
        t=t,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled_weight_decay,
        fixed_decay=fixed_decay,
        rectify=rectify,
        rectify_fallback=rectify_fallback,
        maximize=maximize,
    )
    apply_(theta, g, m, s, s_max, c)


def _is(x: Scalar, value: float) -> bool:
    """Whether x is a number of that value; a tensor is not asked, as that would wait for its device."""
    return not isinstance(x, Tensor) and x == value


def _where(condition: bool | Tensor, x: Scalar, y: Scalar) -> Scalar:
    if isinstance(condition, Tensor):
        return torch.where(condition, x, y)
    return x if condition else y


def _sqrt(x: Scalar) -> Scalar:
    return x.sqrt() if isinstance(x, Tensor) else math.sqrt(x)


def _add_(x: Tensor, y: Tensor, scale: Scalar) -> Tensor:
    """x += scale * y, rounded once. torch takes numbers alone as ``alpha``."""
    return x.addcmul_(y, scale) if isinstance(scale, Tensor) else x.add_(y, alpha=scale)


def _addcmul_(x: Tensor, y: Tensor, z: Tensor, scale: Scalar) -> Tensor:
    """x += scale * y * z."""
    return x.addcmul_(y * scale, z) if isinstance(scale, Tensor) else x.addcmul_(y, z, value=scale)
