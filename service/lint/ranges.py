"""Rules on ranges that leave out the values that they are meant to hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from whichopt.service.lint.setting import Setting
from whichopt.service.space import Float
from whichopt.service.views import LintFinding

SCALES: Mapping[str, float] = {"lr": 1.0, "eps": 2.0, "weight_decay": 2.0}
"""Hyperparameters that differ by factors, with the number of decades from which a linear range misses the low
values: nine tenths of its draws lie in the highest decade."""


def range_rules(setting: Setting) -> Iterator[LintFinding]:
    for name, allowed in setting.searched.items():
        value = setting.number(name)
        itself = setting.values.get(name)  # whole, if its range is of whole numbers
        if (
            value is not None
            and itself is not None
            and value != setting.facts.default.get(name)
            and not allowed.contains(itself)
        ):
            yield setting.finding(
                "default_outside_range",
                name,
                f"the first trial's {name} = {value:g} lies outside the range {allowed.allowed()}",
                "the search never comes back to it, so the comparison of tuned and default is not fair",
                "widen the range, or move the default into it",
            )
        if not isinstance(allowed, Float):
            continue
        if name in SCALES and allowed.scale == "linear":
            decades = math.inf if allowed.low <= 0 else math.log10(allowed.high / allowed.low)
            if decades >= SCALES[name]:
                yield setting.finding(
                    "linear_range",
                    name,
                    f"{name} is searched linearly over {allowed.allowed()}",
                    "nine tenths of the draws fall into the highest decade of such a range, but the order of "
                    "magnitude matters",
                    'set "log": true, with a lower end above 0',
                    ranged=True,
                )
        if (
            name in ("beta1", "beta2", "momentum", "alpha")
            and allowed.scale == "linear"
            and allowed.high >= 0.98
        ):
            yield setting.finding(
                "linear_range",
                name,
                f"{name} is searched linearly up to {allowed.high:g}",
                "from 0.9 to 0.99 the number of averaged steps grows by a factor of 10, but this is a small "
                "part of the range",
                'set "scale": "log1m", the log of one minus the value',
                severity="note",
                ranged=True,
            )
        if name == "lr" and allowed.low > 0 and allowed.high / allowed.low < 10:
            yield setting.finding(
                "lr_range_narrow",
                "lr",
                f"lr is searched over {math.log10(allowed.high / allowed.low):.1f} decades",
                "the best learning rate differs by decades between workloads, and with the other "
                "hyperparameters",
                f"search a decade or more; {setting.facts.space['lr'].allowed()} is usual",
                ranged=True,
            )
