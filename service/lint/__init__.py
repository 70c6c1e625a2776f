"""Finds common mistakes in a spec or a setting before anything is trained. Pure.

A finding says what is there, why it matters, and what to do instead; the thresholds stand beside their
reasons. None of them fires on a default or a space of the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.catalog import optimizers
from whichopt.service.errors import InvalidSpec, WhichoptError
from whichopt.service.lint.averages import average_rules, rectification_rules
from whichopt.service.lint.jobs import JOB_RULES
from whichopt.service.lint.ranges import range_rules
from whichopt.service.lint.setting import Setting
from whichopt.service.lint.sizes import decay_rules, eps_rules, lr_rules
from whichopt.service.space import Value
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.views import LintFinding

SETTING_RULES = (eps_rules, decay_rules, lr_rules, average_rules, rectification_rules, range_rules)


def lint(spec: ResolvedSpec) -> list[LintFinding]:
    """Return the findings on a job: its budget, its schedule, and each of its optimizers."""
    findings = [finding for rule in JOB_RULES for finding in rule(spec)]
    for i, chosen in enumerate(spec.optimizers):
        setting = Setting(
            name=chosen.name,
            facts=chosen.facts,
            values=chosen.default,
            searched=chosen.searched,
            field=f"optimizers.{i}",
            steps=None if spec.guest is not None else spec.steps_of(chosen.label),
            schedule=spec.training_of(chosen.label, chosen.default).schedule,
        )
        findings += [finding for rule in SETTING_RULES for finding in rule(setting)]
    return findings


def lint_job(spec: JobSpec) -> list[LintFinding]:
    """Return the findings on a spec as it was written; if it is invalid, that is the only finding."""
    try:
        return lint(resolve(spec))
    except InvalidSpec as error:
        return [refused(error)]


def lint_setting(name: str, config: Mapping[str, Value], *, steps: int | None = None) -> list[LintFinding]:
    """Return the findings on one complete setting (scalars, as a space has them) for a run of `steps`.

    Raises:
        UnknownName: the catalog has no such optimizer.
    """
    facts = optimizers.optimizer(name).facts
    setting = Setting(name, facts, config, searched={}, field="config", steps=steps)
    return [finding for rule in SETTING_RULES for finding in rule(setting)]


def refused(error: WhichoptError) -> LintFinding:
    """Return the error as a finding."""
    nearest = None if error.nearest is None else f"did you mean {error.nearest!r}?"
    allowed = None if error.allowed is None else f"allowed: {error.allowed}"
    return LintFinding(
        code=error.code,
        severity="error",
        field=error.field,
        what=error.detail,
        why="the service rejects it",
        instead=nearest or allowed or "change it",
    )
