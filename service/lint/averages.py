"""Rules on averages that are too short or too long for the run, and on rectification."""

from __future__ import annotations

import math
from collections.abc import Iterator

from whichopt.service.lint.setting import Setting
from whichopt.service.views import LintFinding

RECTIFIED_STEPS = 20
"""Number of steps up to which a run has only SGD's steps and steps shortened to less than a tenth."""

UNRECTIFIED = 0.5
"""Least factor of the last step; with a smaller one, the run has seen little of its learning rate."""

NEVER_ADAPTIVE = 2 / 3
"""Highest beta2 at which rectification never uses the denominator."""

LONG_WARMUP = 0.1
"""Longest warm-up beside rectification, which is a warm-up itself, as a share of the budget."""

NOISY_BETA2 = 0.8
"""Least beta2 with which the denominator averages at least 5 squares."""


def average_rules(setting: Setting) -> Iterator[LintFinding]:
    name = setting.facts.meaning.squares
    beta1, beta2 = setting.number("beta1"), None if name is None else setting.number(name)
    if name and beta1 is not None and beta2 is not None and setting.facts.meaning.step == "normalized":
        chosen = setting.chosen("beta1") is not None or setting.chosen(name) is not None
        if chosen and beta1 >= math.sqrt(beta2):
            yield setting.finding(
                "beta2_below_beta1",
                name,
                f"beta1 = {beta1:g} is not below sqrt({name}) = {math.sqrt(beta2):.4g}",
                "the denominator then forgets faster than the momentum, so old gradients are divided by "
                "squares that no longer contain them; Adam is known to converge for beta1 < sqrt(beta2) and "
                "a large beta2 (Zhang et al. 2022, arXiv 2208.09632)",
                f"raise {name} ({setting.facts.default[name]:g} is usual), or lower beta1",
            )
        elif setting.chosen(name) is not None and beta2 < NOISY_BETA2:
            yield setting.finding(
                "beta2_noisy",
                name,
                f"{name} = {beta2:g} averages {1 / (1 - beta2):.1f} squares",
                "with so few, the step follows the sign of the last gradients, whose noise is not averaged "
                "out",
                "use 0.9 to 0.999",
                severity="note",
            )
    late = setting.facts.meaning.uncorrected
    rate = None if late is None else setting.chosen(late)
    if late is None or rate is None or setting.steps is None or rate == setting.facts.default[late]:
        return
    if setting.steps * (1 - rate) < 1:
        yield setting.finding(
            "average_longer_than_run",
            late,
            f"{late} = {rate:g} averages {1 / (1 - rate):,.0f} steps, and the run has {setting.steps:,}",
            f"its bias towards 0 is not corrected: the first step is {1 / math.sqrt(1 - rate):.0f} times lr, "
            "and the run ends before the bias is gone",
            f"use a lower {late}, or adam with beta1 = 0, which corrects the bias",
        )


def rectification_rules(setting: Setting) -> Iterator[LintFinding]:
    meaning, beta2, steps = setting.facts.meaning, setting.number("beta2"), setting.steps
    switched = meaning.rectified == "switch" and setting.values.get("rectify") is True
    if beta2 is None or not (switched or meaning.rectified == "always"):
        return
    name = "rectify" if switched else "beta2"
    if setting.chosen("beta2") is not None and beta2 <= NEVER_ADAPTIVE:
        yield setting.finding(
            "rectify_never_adaptive",
            "beta2",
            f"at beta2 = {beta2:g} rectification never ends",
            "up to beta2 = 2/3 the average is too short to estimate a variance, so every step is SGD's",
            "use a beta2 of 0.9 or more, or adam",
        )
        return
    warmup = 0.0 if setting.schedule is None else setting.schedule.warmup
    if warmup > (0.0 if switched else LONG_WARMUP):
        yield setting.finding(
            "warmup_and_rectify",
            name,
            f"the schedule warms up over {warmup:.0%} of the budget, and rectification warms up as well",
            "rectification is a warm-up of about 2 / (1 - beta2) steps (Ma and Yarats 2021, arXiv "
            "1910.04209), and the two multiply",
            "use only one of them",
            severity="note",
        )
    if steps is None:
        return
    share = rectification(beta2, steps)
    fixed_lr = "lr" not in setting.searched
    if steps <= RECTIFIED_STEPS or (share < UNRECTIFIED and (fixed_lr or switched)):
        yield setting.finding(
            "rectify_throttles",
            name,
            f"after all {steps:,} steps, rectification still shortens steps to {share:.2f} of lr",
            "the first 5 steps are SGD's and the others start at a few hundredths of lr (beta2 = 0.999), so "
            "on a short run rectification sets the step, not lr",
            "turn rectify off and use a warm-up, a lower beta2, or more steps",
        )


def rectification(beta2: float, step: int) -> float:
    """Return the factor of RAdam's step (Liu et al. 2020, arXiv 1908.03265); 0 if it takes SGD's step."""
    limit = 2 / (1 - beta2) - 1
    rho = limit - 2 * step * beta2**step / (1 - beta2**step)
    if rho <= 5:
        return 0.0
    return math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
