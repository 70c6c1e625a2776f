"""Rules on values whose size suits another optimizer: eps, weight decay, learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator

from whichopt.service.lint.setting import Setting
from whichopt.service.space import Float
from whichopt.service.translations.denominators import accumulated, floor
from whichopt.service.views import LintFinding

BELIEF_FLOOR = 1e-3
"""Floor above typical entries of a gradient: with a higher one, AdaBelief is mostly SGD with momentum."""

BELIEF_EPS = 1e-5
"""Highest eps of a range on AdaBelief's scale; at beta2 = 0.999 its floor is 0.1."""

TINY_EPS = 1e-12
"""Least eps outside the root that helps entries whose squares underflow in float32 (1e-19)."""

LARGE_EPS = 1e-2
"""Least eps with which Adam is close to SGD with momentum, so that an lr above 0.1 may be intended."""

NORMALIZED_LR, RAW_LR = 0.1, 1e-3
"""A normalized step moves each param by about lr: 0.1 is the size of the params. SGD's steps are lr times the
gradient, whose entries are 1e-2 or less: with 1e-3 they are a hundredth of Adam's."""

COUPLED_DECAY, DECOUPLED_DECAY = 1e-1, 1e-4
"""A coupled decay is added to gradients of 1e-2 or less, on params of about 0.1; a decoupled one shrinks the
params by lr * decay a step: with lr = 1e-3 that is 1e-7."""

FORGETTING = 1e-2
"""Share per step by which decay forgets the params within 100 steps."""


def eps_rules(setting: Setting) -> Iterator[LintFinding]:
    eps, searched = setting.chosen("eps"), setting.range("eps")
    if setting.facts.meaning.floor == "accumulated":
        yield from _accumulating_eps(setting, eps, searched)
        return
    ranged = searched is not None and searched.high < TINY_EPS
    tiny = searched.high if searched is not None and ranged else eps
    if tiny is not None and tiny < TINY_EPS and setting.facts.meaning.floor == "outside":
        yield setting.finding(
            "eps_of_adabelief",
            "eps",
            f"eps = {tiny:.3g} is AdaBelief's size",
            "this optimizer adds eps once, outside the root: if the squares of a gradient underflow (entries "
            "below 1e-19 in float32), nothing else keeps the step bounded",
            "keep 1e-8; AdaBelief's default of 1e-16 gives a floor of 3e-7",
            ranged=ranged,
        )
    lr = setting.number("lr")
    if eps is not None and eps >= LARGE_EPS and lr is not None and setting.facts.meaning.step == "normalized":
        beta1 = setting.number("beta1") or 0.0
        yield setting.finding(
            "eps_makes_sgd",
            "eps",
            f"eps = {eps:.3g} is above most gradients",
            "the denominator is then almost constant, and the optimizer is SGD with momentum and a learning "
            f"rate of {lr * (1 - beta1) / eps:.3g} (Choi et al. 2019, arXiv 1910.05446)",
            "if that is intended, tune lr / eps, or use sgd, which has half the state",
            severity="note",
        )


def _accumulating_eps(setting: Setting, eps: float | None, searched: Float | None) -> Iterator[LintFinding]:
    beta2 = setting.number("beta2") or 0.0
    if searched is not None and searched.high > BELIEF_EPS:
        yield setting.finding(
            "eps_of_adam",
            "eps",
            f"eps is searched up to {searched.high:.3g}, which is Adam's size",
            "it is added under the root at every step and accumulates: at beta2 = 0.999 the floor is 32 "
            f"times its root, {math.sqrt(searched.high / 1e-3):.3g} at the upper end, so that every step "
            "there is SGD's",
            "search 1e-17 to 1e-6, whose floors are 1e-7 to 3e-2",
            ranged=True,
        )
    if eps is None:
        return
    lowest, usual = (
        floor(setting.facts.meaning, {"eps": size, "beta1": 0.9, "beta2": beta2}) for size in (eps, 1e-16)
    )
    if lowest < BELIEF_FLOOR:
        return
    yield setting.finding(
        "eps_of_adam",
        "eps",
        f"eps = {eps:.3g} makes a floor of {lowest:.3g} under the denominator",
        "AdaBelief adds eps under the root at every step, so it accumulates to eps / (1 - beta2). A floor "
        "above most gradients turns AdaBelief into SGD with momentum (as the authors' 1e-8 for CIFAR does: "
        "Zhuang et al. 2020)",
        f"the floor of Adam's 1e-8 is eps = {accumulated(1e-8, beta2):.3g}; the usual 1e-16 (the square "
        f"of Adam's) gives {usual:.2g}. Keep it if SGD is intended",
    )


def decay_rules(setting: Setting) -> Iterator[LintFinding]:
    decay, searched = setting.chosen("weight_decay"), setting.range("weight_decay")
    if setting.facts.meaning.decay == "coupled":
        for value, ranged in ((decay, False), (searched.low if searched else None, True)):
            if value is not None and value > (COUPLED_DECAY / 10 if ranged else COUPLED_DECAY):
                yield setting.finding(
                    "decay_of_adamw",
                    "weight_decay",
                    f"weight_decay {'from ' if ranged else ''}{value:.3g} is the size of a decoupled one",
                    "here it is coupled: it is added to the gradient, and outweighs it at this size",
                    "use adamw, or 1e-7 to 1e-2 (Loshchilov and Hutter 2019, arXiv 1711.05101)",
                    ranged=ranged,
                )
        return
    for value, ranged in ((decay, False), (searched.high if searched else None, True)):
        if value is not None and 0 < value < (DECOUPLED_DECAY * 10 if ranged else DECOUPLED_DECAY):
            yield setting.finding(
                "decay_of_adam",
                "weight_decay",
                f"weight_decay {'up to ' if ranged else ''}{value:.3g} is the size of a coupled one",
                "here it is decoupled: a step shrinks the params by lr * weight_decay, which is almost "
                "nothing",
                "search 1e-4 to 1 (Loshchilov and Hutter 2019, arXiv 1711.05101)",
                ranged=ranged,
            )
    lr = setting.number("lr") or 0.0
    if decay is not None and lr * decay > FORGETTING:
        yield setting.finding(
            "decay_forgets",
            "weight_decay",
            f"lr * weight_decay = {lr * decay:.3g}",
            "every step shrinks the params by that share, so they are forgotten within "
            f"{1 / (lr * decay):.0f} steps",
            "lower weight_decay as lr rises, because their product matters",
        )


def lr_rules(setting: Setting) -> Iterator[LintFinding]:
    lr, searched, eps = setting.chosen("lr"), setting.range("lr"), setting.number("eps") or 0.0
    kind = setting.facts.meaning.step
    if kind == "normalized" and setting.facts.meaning.floor == "accumulated":
        eps = floor(setting.facts.meaning, {"beta1": 0.9, **setting.values})
    if kind == "normalized" and eps < LARGE_EPS:
        open_eps = setting.range("eps")
        if lr is not None and lr > NORMALIZED_LR:
            high, ranged = lr, False
        elif searched is not None and searched.low >= NORMALIZED_LR / 10 and open_eps is None:
            high, ranged = searched.low, True
        else:
            return
        yield setting.finding(
            "lr_of_sgd",
            "lr",
            f"lr {'from ' if ranged else '= '}{high:.3g} is SGD's size",
            "this optimizer's step moves each param by about lr, whatever the size of the gradient, and "
            "params are about 0.1 themselves",
            f"start at {setting.facts.default['lr']:g}; the usual range is "
            f"{setting.facts.space['lr'].allowed()}",
            ranged=ranged,
        )
    if kind == "raw":
        if lr is not None and lr <= RAW_LR:
            low, ranged = lr, False
        elif searched is not None and searched.high <= RAW_LR * 10:
            low, ranged = searched.high, True
        else:
            return
        yield setting.finding(
            "lr_of_adam",
            "lr",
            f"lr {'up to ' if ranged else '= '}{low:.3g} is Adam's size",
            "SGD's step is lr times the gradient, whose entries are 1e-2 or less, so a step of Adam's length "
            "needs a learning rate that is larger by that factor",
            f"start at {setting.facts.default['lr']:g}; the usual range is "
            f"{setting.facts.space['lr'].allowed()}",
            severity="warning" if ranged else "note",
            ranged=ranged,
        )
