"""Translates settings of one optimizer to the nearest ones of another, and says how near they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from whichopt.service.catalog import optimizers
from whichopt.service.errors import InvalidSpec
from whichopt.service.space import Value
from whichopt.service.translations.denominators import Assumed, Exactness, Translated
from whichopt.service.translations.later_rules import LATER_REASONS
from whichopt.service.translations.rules import RULES

MEANING: Mapping[Exactness, str] = {
    "exact": "exact: the same bits",
    "rounding": "exact up to the last bits",
    "limit": "the same in a limit that this setting is close to",
    "approximate": "approximate",
}
"""The meaning of each degree of exactness, nearest first."""


def translate(source: str, target: str, config: Mapping[str, Value], assumed: Assumed) -> Translated:
    """Return what `nearest` does, with a warning of each value that the optimizer `target` may not have.

    Raises:
        UnknownName: the catalog has no such optimizer.
        InvalidSpec: no rule leads from one to the other.
    """
    first, last = optimizers.optimizer(source), optimizers.optimizer(target)
    translated = nearest(first.name, last.name, config, assumed)
    beyond = tuple(
        f"{name} {_shown(value)} is not what {last.name} may have: {last.limits(name).allowed()}"
        for name, value in translated.config.items()
        if not last.limits(name).contains(value)
    )
    return replace(translated, warnings=(*translated.warnings, *beyond))


def nearest(source: str, target: str, config: Mapping[str, Value], assumed: Assumed) -> Translated:
    """Return `config` of the optimizer `source` as the nearest one of `target`.

    It is translated directly if a rule says how, else by way of others; the worst step decides how exact the
    whole is. An optimizer without rules is near to itself alone, whether or not the catalog has it.

    Raises:
        InvalidSpec: no rule leads from one to the other.
    """
    path = _path(source, target)
    translated = Translated(dict(config), "exact", ())
    degrees = list(MEANING)
    for here, there in pairwise(path):
        step = RULES[here, there](translated.config, assumed)
        translated = Translated(
            config=step.config,
            exactness=max(translated.exactness, step.exactness, key=degrees.index),
            why=(*translated.why, *step.why),
            warnings=(*translated.warnings, *step.warnings),
            free=translated.free | step.free,
        )
    why, warnings = (tuple(dict.fromkeys(reasons)) for reasons in (translated.why, translated.warnings))
    return replace(translated, path=path, why=why, warnings=warnings)


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _path(source: str, target: str) -> tuple[str, ...]:
    paths: list[tuple[str, ...]] = [(source,)]
    seen = {source}
    for path in paths:
        if path[-1] == target:
            return path
        for here, there in RULES:
            if here == path[-1] and there not in seen:
                seen.add(there)
                paths.append((*path, there))
    raise _none(source, target)


def _none(source: str, target: str) -> InvalidSpec:
    """Return the error that says why no setting leads over, and which optimizers have a translation."""
    known = sorted({name for pair in RULES for name in pair})
    without = next((name for name in (source, target) if name not in known), None)
    why = (
        f"no translation leads there from {source}"
        if without is None
        else REASONS.get(without, f"there is no translation for {without}")
    )
    return InvalidSpec(
        f"no setting of {target} is near one of {source}: {why}. Optimizers that have a translation: "
        f"{', '.join(known)}",
        field="source" if without == source else "target",
        value=without or target,
        allowed=known,
    )


REASONS: Mapping[str, str] = {
    "adagrad": "Adagrad divides by the root of the sum of all squares so far, so its steps fall with the "
    "length of the run, which other optimizers leave to the schedule",
    "lamb": "LAMB scales the step of each tensor by the norm of its params, so one learning rate of it "
    "is another one of theirs for every tensor",
    **LATER_REASONS,
}
"""Why an optimizer cannot have a rule. One that is in neither table just has none yet."""
