r"""Computes the denominator of a step, and with it the meaning of lr, eps and weight decay. Pure.

A denominator decides what a setting means. With g the root mean square of a gradient's entry (`gradient`):

    Adam, QHAdam, RAdam, NAdam, RMSprop     sqrt(v) + eps                 about g + eps
    AdaBelief                               sqrt(s) + eps                 about hypot(k g, root) + eps,
        root = sqrt(eps / (1 - beta2)), since the eps under the root is added at every step and adds up;
        k = sqrt(2 beta1^2 / (1 + beta1)): of noise about 0 the running mean has taken its part already
    SGD                                     1

so a step is lr / denominator times the averaged gradient, a coupled decay (added to the gradient) shrinks
the params by lr * weight_decay / denominator a step, and a decoupled one by lr * weight_decay. If eps is
far above g every one of them is SGD with momentum (Choi et al. 2019, arXiv 1910.05446), and what is said
here does not depend on g. The same figures for AdaBelief, without g, are in `adabelief.translate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from whichopt.service.catalog.optimizer_entry import Meaning
from whichopt.service.space import Config, Value

Exactness = Literal["exact", "rounding", "limit", "approximate"]

FAR = 100.0
"""eps counts as far above the gradient from this factor on: steps are then within 1% of SGD's."""

SETTLED = 100.0
"""A run counts as long against the start of an average from this many of its lengths on: 1% is start."""

NEGLIGIBLE = 1e-3
"""A decay that shrinks the params by less than this share over the run counts as none."""


@dataclass(frozen=True)
class Assumed:
    """Assumptions that no setting contains.

    `gradient` is the root mean square of a gradient's entry; `floor` the denominator that a target is given
    if it is to be SGD; `beta2` what it gets if the source has none; `steps` the length of the run.
    """

    gradient: float = 1e-2
    floor: float = 1.0
    beta2: float = 0.999
    steps: int | None = None

    def long_against(self, average: float) -> bool:
        """Tell if the run is long compared with an average of that decay rate."""
        return self.steps is not None and self.steps * (1 - average) >= SETTLED


@dataclass(frozen=True)
class Translated:
    """`free` are the hyperparameters of the target that make no difference in the limit; `path` are the
    optimizers that it was translated through."""

    config: Config
    exactness: Exactness
    why: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    free: frozenset[str] = frozenset()
    path: tuple[str, ...] = ()


def denominator(meaning: Meaning, config: Mapping[str, Value], gradient: float) -> float:
    """Return the denominator of a step if gradients are noise about 0 of that size.

    An optimizer without eps, as one that steps by the sign of the gradient, adds nothing to that size.
    """
    if meaning.step == "raw":
        return 1.0
    eps = number(config, "eps") if "eps" in config else 0.0
    if meaning.floor == "outside":
        return gradient + eps
    if meaning.floor == "inside":
        return math.hypot(gradient, math.sqrt(eps))
    return math.hypot(_deviation(number(config, "beta1")) * gradient, _root(config)) + eps


def floor(meaning: Meaning, config: Mapping[str, Value]) -> float:
    """The least that a step is divided by."""
    return denominator(meaning, config, 0.0)


def shrinkage(meaning: Meaning, config: Mapping[str, Value], assumed: Assumed) -> float:
    """The share by which the weight decay shrinks the params over the run; infinite if it has no end."""
    per_step = number(config, "lr") * number(config, "weight_decay")
    if meaning.decay == "coupled":
        per_step /= denominator(meaning, config, assumed.gradient)
        per_step /= 1 - number(config, "momentum") if "momentum" in config else 1.0
    if per_step == 0:
        return 0.0
    return math.inf if assumed.steps is None else per_step * assumed.steps


def _deviation(beta1: float) -> float:
    """Return the distance of noise of size 1 from its own running mean (of which it is part)."""
    return beta1 * math.sqrt(2 / (1 + beta1))


def _root(config: Mapping[str, Value]) -> float:
    return math.sqrt(number(config, "eps") / (1 - number(config, "beta2")))


def accumulated(outside: float, beta2: float) -> float:
    """The eps that AdaBelief needs for the floor that Adam's eps `outside` the root makes: with
    c = sqrt(1 - beta2) the positive root of x / c + x^2 = outside is sqrt(eps)."""
    c = math.sqrt(1 - beta2)
    return float((2 * outside * c / (1 + math.hypot(1, 2 * c * math.sqrt(outside)))) ** 2)


def number(config: Mapping[str, Value], name: str) -> float:
    return float(config[name])
