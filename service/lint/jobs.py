"""Rules on the parts of a job that are not one optimizer's, and the table of the rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from whichopt.service.configs import room
from whichopt.service.evidence.verdict.warnings import FEW_SEEDS, unequal_spaces
from whichopt.service.lint.batches import batch_rules
from whichopt.service.lint.data import data_rules
from whichopt.service.lint.images import image_rules
from whichopt.service.lint.layers import layer_rules
from whichopt.service.lint.metrics import metric_rules
from whichopt.service.lint.players import player_rules
from whichopt.service.lint.sized import largest
from whichopt.service.lint.texts import text_rules
from whichopt.service.space import Float
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import LintFinding

FASTEST_STEP_S = 3e-4
"""Seconds of a step of a small network; the step of a stack takes no less."""

FEWER_DECADES = 0.5
"""A learning rate with less than this share of the catalog's range was given less to search."""


def _spaces(spec: ResolvedSpec) -> Iterator[LintFinding]:
    for warning in unequal_spaces(spec):
        yield LintFinding(
            code=warning.code,
            severity="warning",
            field="optimizers",
            what=warning.detail.removesuffix("."),
            why="a ranking depends on the spaces as much as on the optimizers (Choi et al. 2019, arXiv "
            "1910.05446)",
            instead="search it for all of them, or fix it for all",
        )
    shares = [_lr_share(spec, i) for i in range(len(spec.optimizers))]
    if max(shares) < 1:
        return
    for i, share in enumerate(shares):
        if share < FEWER_DECADES:
            yield LintFinding(
                code="unequal_ranges",
                severity="warning",
                field=f"optimizers.{i}.space.lr",
                what=f"{spec.optimizers[i].label}: its lr range covers {share:.0%} of the usual decades; "
                "another's covers all of them",
                why="an optimizer that searches less finds less, or was given the answer; either way the "
                "comparison is not fair",
                instead="give all of them ranges of equal width",
            )


def _lr_share(spec: ResolvedSpec, i: int) -> float:
    """Return the share of the catalog's decades of lr that the optimizer searches."""
    chosen = spec.optimizers[i]
    ours, usual = chosen.space["lr"], chosen.facts.space["lr"]
    if not isinstance(ours, Float):
        return 0.0
    assert isinstance(usual, Float)
    if ours.low <= 0:
        return 1.0
    return math.log(ours.high / ours.low) / math.log(usual.high / usual.low)


def _budget(spec: ResolvedSpec) -> Iterator[LintFinding]:
    budget = spec.budget
    most = max(len(optimizer.searched) for optimizer in spec.optimizers)
    counted = budget.trials is not None or budget.settled is not None
    if counted and budget.study_trials < most:
        yield LintFinding(
            code="few_trials",
            severity="note",
            field="budget.minutes" if budget.timed else "budget.trials",
            what=f"a study has {budget.study_trials} trials for up to {most} hyperparameters"
            + ("; the first one is the default, so nothing is tuned" if budget.study_trials == 1 else ""),
            why="with fewer draws than hyperparameters (the default comes first), the result is more luck "
            "than search",
            instead="use more trials, fewer replicates, or fewer searched hyperparameters",
        )
    if budget.replicates == 1 and len(spec.optimizers) > 1:
        yield LintFinding(
            code="few_replicates",
            severity="note",
            field="budget.replicates",
            what="each optimizer has only one study",
            why="a lucky search cannot be distinguished from a better optimizer, so there is a verdict on "
            "configs only",
            instead="use 3 replicates with a third of the trials each",
        )
    if budget.confirm_seeds < FEW_SEEDS:
        yield LintFinding(
            code="few_seeds",
            severity="note",
            field="budget.confirm_seeds",
            what=f"there are at most {budget.confirm_seeds} fresh seeds",
            why="with so few, only large differences show",
            instead="allow 10; they only run while the outcome is open",
        )


def _configs(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find studies with more trials than there are configs to train."""
    budget, rivals = spec.budget, len(spec.optimizers) > 1
    counted = budget.trials is not None or budget.settled is not None
    for i, chosen in enumerate(spec.optimizers):
        configs = room(chosen.searched, chosen.default)
        if configs > 1 and not (counted and configs < budget.study_trials):
            continue
        if counted and budget.study_trials == 1:
            continue
        asked = f" of the {budget.study_trials} that the budget has for it" if counted else ""
        has = "only one config: nothing is searched" if configs == 1 else f"only {configs} configs"
        yield LintFinding(
            code="nothing_to_search" if configs == 1 else "few_configs",
            severity="warning" if configs == 1 else "note",
            field=f"optimizers.{i}.space",
            what=f"{chosen.label}: its space has {has}; each of its studies trains {configs} "
            f"trial{'s' if configs > 1 else ''}{asked}, and the rest is not spent",
            why="the trials of a study share their seeds, so a config that is trained again repeats its run "
            "to the bit"
            + ("; giving the rest to another optimizer would make the budgets unequal" if rivals else ""),
            instead="give it ranges to search, or no more trials than there are configs",
        )


def _time(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find a time limit that not even one trial can keep."""
    minutes = spec.budget.minutes
    limit = spec.budget.max_seconds if minutes is None else 60 * minutes
    if spec.guest is not None or limit is None:
        return
    steps = min(
        -(-spec.length // largest(spec, chosen, f"optimizers.{place}.space")[1])
        for place, chosen in enumerate(spec.optimizers)
    )
    if limit / steps < FASTEST_STEP_S:
        field = "minutes" if spec.budget.timed else "max_seconds"
        yield LintFinding(
            code="time_too_short",
            severity="warning",
            field=f"budget.{field}",
            what=f"a trial has {steps:,} steps, and {limit:g} s leave "
            f"{1000 * limit / steps:.2g} ms for each of them, even if only one trial runs",
            why="a step of a small network takes about 0.3 ms, so the search will stop before any trial "
            "ends; a trial that did not end has no value",
            instead="allow more time, fewer epochs, or larger batches",
        )


JOB_RULES: tuple[Callable[[ResolvedSpec], Iterator[LintFinding]], ...] = (
    batch_rules,
    _spaces,
    _budget,
    _configs,
    _time,
    metric_rules,
    data_rules,
    layer_rules,
    image_rules,
    player_rules,
    text_rules,
)
