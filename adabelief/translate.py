r"""What settings of AdaBelief mean in terms of optimizers one knows, as plain numbers.

AdaBelief has two limits. Where the gradient varies much less than the floor of the denominator, it is SGD
with momentum; where the gradient is noise about 0 that drowns the floor, it is Adam with another learning
rate. A run is somewhere in between, each entry at a place of its own, so these numbers are the middle of a
search, not its result. They hold without rectification, once m and s have forgotten the start of the run.

    >>> print(f"{eps_from_adam(1e-8, beta2=0.999):.3g}")  # where the floor is that of Adam's usual eps
    1e-19
    >>> print(f"{adam_lr(1e-3, beta1=0.9):.3g}")
    0.00108
    >>> print(f"{sgd_lr(1e-3, eps=1e-8, beta1=0.9, beta2=0.999):.3g}")  # the authors' settings for CIFAR
    0.0316

References:
    Zhuang et al., AdaBelief Optimizer, Algorithm 2, https://arxiv.org/abs/2010.07468, and what follows from
    it on paper. That eps makes most of the difference from Adam: Yuan and Gao, EAdam Optimizer: How epsilon
    Impact Adam, https://arxiv.org/abs/2011.02150
"""

from math import hypot, inf, sqrt
from numbers import Real

__all__ = [
    "adam_eps",
    "adam_lr",
    "denominator_floor",
    "eps_from_adam",
    "lr_from_adam",
    "lr_from_sgd",
    "sgd_lr",
]


def denominator_floor(eps: float, beta2: float) -> float:
    r"""The least that a step is divided by, reached where the gradient is constant.

    The eps inside s is added at every step and adds up, under the bias correction to the same at every t:

    .. math::
        \mathrm{floor} = \sqrt{\epsilon / (1 - \beta_2)} + \epsilon

    So no step is longer than :math:`\mathrm{lr} |\hat m| / \mathrm{floor}`, and how far the gradient deviates
    counts only where that is not small against the floor.

    Args:
        eps: AdaBelief's, >= 0.
        beta2: the decay rate of s, in [0, 1).

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> print(f"{denominator_floor(1e-8, 0.999):.3g}, {denominator_floor(1e-16, 0.999):.3g}")
        0.00316, 3.16e-07
    """
    _check("eps", eps)
    _check("beta2", beta2, below=1)
    return sqrt(eps / (1 - beta2)) + eps


def adam_eps(eps: float, beta2: float) -> float:
    r"""The eps with which Adam has the same floor under its denominator :math:`\sqrt{\hat v} + \epsilon`.

    That is the floor itself, about :math:`\sqrt{\epsilon / (1 - \beta_2)}`. The rule that AdaBelief's eps is
    the square of Adam's leaves the :math:`1 - \beta_2` out, and so has a floor 32 times Adam's at 0.999.

    Args:
        eps: AdaBelief's, >= 0.
        beta2: the decay rate of s, in [0, 1).

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> print(f"{adam_eps(1e-16, beta2=0.999):.3g}")
        3.16e-07
    """
    return denominator_floor(eps, beta2)


def eps_from_adam(adam_eps: float, beta2: float) -> float:
    r"""The eps of AdaBelief that puts the floor of the denominator where Adam's eps puts it.

    The inverse of ``adam_eps``: :math:`\sqrt\epsilon` is the root of a quadratic equation, in the form that
    subtracts nothing. With :math:`c = \sqrt{1 - \beta_2}` and Adam's eps a,

    .. math::
        \sqrt\epsilon = \frac{2 a c}{1 + \sqrt{1 + 4 a c^2}}

    For a small a that is :math:`\epsilon = (1 - \beta_2) a^2`.

    Args:
        adam_eps: Adam's, >= 0.
        beta2: the decay rate of s, in [0, 1).

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> print(f"{eps_from_adam(1e-8, beta2=0.999):.3g}")
        1e-19
    """
    _check("adam_eps", adam_eps)
    _check("beta2", beta2, below=1)
    c = sqrt(1 - beta2)
    root = adam_eps * c / (0.5 + 0.5 * hypot(1, 2 * c * sqrt(adam_eps)))
    return root * root


def adam_lr(lr: float, beta1: float, *, mean_to_deviation: float = 0.0) -> float:
    r"""The learning rate with which Adam's steps are as long, where gradients are noise about a fixed mean.

    Under gradients that are drawn anew at every step, with mean :math:`\mu` and variance :math:`\sigma^2`,
    Adam's v tends to :math:`\mu^2 + \sigma^2` and AdaBelief's s to :math:`\sigma^2 \, 2 \beta_1^2 / (1 +
    \beta_1)`: less than the variance, since m has taken its part of the gradient already. So

    .. math::
        \mathrm{lr}_\mathrm{Adam} = \mathrm{lr} \,
            \sqrt{\frac{1 + \beta_1}{2 \beta_1^2} \left(1 + \mu^2 / \sigma^2\right)}

    For noise about 0 the factor is 1.083 at beta1 = 0.9, 1.73 at 0.5 and 7.4 at 0.1. Where gradients agree it
    is larger: 3.4 at a mean of three standard deviations and beta1 = 0.9. It is for deviations far above
    ``denominator_floor``; below it, AdaBelief is SGD (``sgd_lr``).

    Args:
        lr: AdaBelief's, >= 0.
        beta1: the decay rate of m, in (0, 1), the same in both.
        mean_to_deviation: :math:`|\mu| / \sigma` of an entry of the gradient, >= 0.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> print(f"{adam_lr(1e-3, beta1=0.5):.3g}")
        0.00173
        >>> print(f"{adam_lr(1e-3, beta1=0.9, mean_to_deviation=3):.3g}")
        0.00342
    """
    _check("lr", lr)
    return lr * _steps_of_adam(beta1, mean_to_deviation)


def lr_from_adam(adam_lr: float, beta1: float, *, mean_to_deviation: float = 0.0) -> float:
    r"""The learning rate of AdaBelief whose steps are as long as Adam's; the inverse of ``adam_lr``.

    Args:
        adam_lr: Adam's, >= 0.
        beta1: the decay rate of m, in (0, 1), the same in both.
        mean_to_deviation: :math:`|\mu| / \sigma` of an entry of the gradient, >= 0.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> print(f"{lr_from_adam(1e-3, beta1=0.9):.3g}")
        0.000923
    """
    _check("adam_lr", adam_lr)
    return adam_lr / _steps_of_adam(beta1, mean_to_deviation)


def sgd_lr(lr: float, eps: float, beta1: float, beta2: float) -> float:
    r"""The learning rate of the SGD with momentum that AdaBelief is while its denominator is the floor.

    Its momentum is beta1, without dampening, as in ``torch.optim.SGD(momentum=beta1)``: each step adds the
    gradient to beta1 times the last buffer, of which m is the part :math:`1 - \beta_1`. So

    .. math::
        \mathrm{lr}_\mathrm{SGD} = (1 - \beta_1) \,
            \frac{\mathrm{lr}}{\sqrt{\epsilon / (1 - \beta_2)} + \epsilon}

    The first steps are longer than SGD's, by the bias correction :math:`1 / (1 - \beta_1^t)`. A coupled decay
    is SGD's ``weight_decay``, of the same number.

    Args:
        lr: AdaBelief's, >= 0.
        eps: AdaBelief's, > 0.
        beta1: the decay rate of m, in (0, 1).
        beta2: the decay rate of s, in [0, 1).

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> print(f"{sgd_lr(1e-3, eps=1e-8, beta1=0.9, beta2=0.999):.3g}")
        0.0316
    """
    _check("lr", lr)
    return lr * _steps_of_sgd(eps, beta1, beta2)


def lr_from_sgd(sgd_lr: float, eps: float, beta1: float, beta2: float) -> float:
    r"""The learning rate of AdaBelief with which it is that SGD at the floor; the inverse of ``sgd_lr``.

    Args:
        sgd_lr: that of SGD with momentum beta1 and no dampening, >= 0.
        eps: AdaBelief's, > 0.
        beta1: the decay rate of m, in (0, 1).
        beta2: the decay rate of s, in [0, 1).

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> print(f"{lr_from_sgd(0.1, eps=1e-8, beta1=0.9, beta2=0.999):.3g}")
        0.00316
    """
    _check("sgd_lr", sgd_lr)
    return sgd_lr / _steps_of_sgd(eps, beta1, beta2)


def _steps_of_adam(beta1: float, mean_to_deviation: float) -> float:
    _check("beta1", beta1, above=0, below=1)
    _check("mean_to_deviation", mean_to_deviation)
    return sqrt((1 + beta1) / 2) / beta1 * hypot(1, mean_to_deviation)


def _steps_of_sgd(eps: float, beta1: float, beta2: float) -> float:
    _check("eps", eps, above=0)
    _check("beta1", beta1, above=0, below=1)
    return (1 - beta1) / denominator_floor(eps, beta2)


def _check(name: str, value: object, above: float | None = None, below: float = inf) -> None:
    """Refuse what is not a number in [0, below), or not in (above, below)."""
    fits = isinstance(value, Real) and 0 <= float(value) < below  # so that nan is refused as well
    if not fits or value == above:
        interval = f"{'[0' if above is None else f'({above}'}, {below})"
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")
