"""What users get wrong in a job as a whole: a rule each, and the table of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from service.catalog import optimizers
from service.configs import room
from service.evidence.warnings import FEW_SEEDS, unequal_spaces
from service.space import Float
from service.spec import ResolvedSpec
from service.views import LintFinding

FEW_STEPS = 20
"""No average and no schedule has a meaning below it."""

FASTEST_STEP_S = 3e-4
"""What a step of a small network takes; a whole stack's takes no less."""

FEWER_DECADES = 0.5
"""A learning rate whose range is that much shorter than the catalog's was given less to search."""


def _steps(spec: ResolvedSpec) -> Iterator[LintFinding]:
    if spec.steps < FEW_STEPS:
        yield LintFinding(
            code="few_steps",
            severity="warning",
            field="batch_size",
            what=f"a trial has {spec.steps} steps: {spec.budget.epochs} epochs of {spec.sizes.train} "
            f"examples in batches of {spec.batch_size}",
            why="optimizers differ in what they do over many steps; in so few the learning rate is all",
            instead="smaller batches, or more epochs",
        )


def _spaces(spec: ResolvedSpec) -> Iterator[LintFinding]:
    for warning in unequal_spaces(spec):
        yield LintFinding(
            code=warning.code,
            severity="warning",
            field="optimizers",
            what=warning.detail,
            why="a ranking follows from the spaces as much as from the optimizers (Choi et al. 2019, "
            "arXiv 1910.05446)",
            instead="open it to all of them, or fix it for all",
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
                what=f"{spec.optimizers[i].label}: its lr has {share:.0%} of the usual decades, others' all",
                why="who searches less finds less, or was given the answer; either way it is no comparison "
                "of optimizers",
                instead="ranges of equal width for all",
            )


def _lr_share(spec: ResolvedSpec, i: int) -> float:
    """The decades that the optimizer's lr is searched over, of the catalog's."""
    chosen = spec.optimizers[i]
    ours, usual = chosen.space["lr"], optimizers.optimizer(chosen.name).space["lr"]
    if not isinstance(ours, Float):
        return 0.0
    assert isinstance(usual, Float)
    if ours.low <= 0:
        return 1.0
    return math.log(ours.high / ours.low) / math.log(usual.high / usual.low)


def _budget(spec: ResolvedSpec) -> Iterator[LintFinding]:
    budget = spec.budget
    most = max(len(optimizer.searched) for optimizer in spec.optimizers)
    settled = budget.trials is not None or budget.settled is not None
    if settled and budget.study_trials < most:
        yield LintFinding(
            code="few_trials",
            severity="note",
            field="budget.minutes" if budget.timed else "budget.trials",
            what=f"a study has {budget.study_trials} trials for up to {most} hyperparameters"
            + ("; the first is the default, so that nothing is tuned" if budget.study_trials == 1 else ""),
            why="the defaults-first trial apart, fewer draws than dimensions is luck more than search",
            instead="more trials, fewer replicates, or fewer open hyperparameters",
        )
    if budget.replicates == 1 and len(spec.optimizers) > 1:
        yield LintFinding(
            code="few_replicates",
            severity="note",
            field="budget.replicates",
            what="one study per optimizer",
            why="the luck of a single search cannot be told from the merit of its optimizer: there is a "
            "verdict on configs only",
            instead="3 replicates of a third of the trials",
        )
    if budget.confirm_seeds < FEW_SEEDS:
        yield LintFinding(
            code="few_seeds",
            severity="note",
            field="budget.confirm_seeds",
            what=f"{budget.confirm_seeds} fresh seeds at most",
            why="with so few only large differences show",
            instead="10, which are only run as long as the outcome is open",
        )


def _configs(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Studies with more trials than there are configs to train."""
    budget, rivals = spec.budget, len(spec.optimizers) > 1
    settled = budget.trials is not None or budget.settled is not None
    for i, chosen in enumerate(spec.optimizers):
        configs = room(chosen.searched, chosen.default)
        if configs > 1 and not (settled and configs < budget.study_trials):
            continue
        if settled and budget.study_trials == 1:
            continue
        asked = f" of the {budget.study_trials} that the budget has for it" if settled else ""
        has = "only one config: nothing is searched" if configs == 1 else f"only {configs} configs"
        yield LintFinding(
            code="nothing_to_search" if configs == 1 else "few_configs",
            severity="warning" if configs == 1 else "note",
            field=f"optimizers.{i}.space",
            what=f"{chosen.label}: its space has {has}; each of its studies trains {configs} "
            f"trial{'s' if configs > 1 else ''}{asked}, and the rest is not spent",
            why="the trials of a study share their seeds: a config that is trained again repeats its run to "
            "the bit"
            + (". The rest, given to another optimizer, would be an unequal budget" if rivals else ""),
            instead="ranges to search, or no more trials than there are configs",
        )


def _time(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """A limit that not even one trial can keep."""
    minutes = spec.budget.minutes
    limit = spec.budget.max_seconds if minutes is None else 60 * minutes
    if limit is not None and limit / spec.steps < FASTEST_STEP_S:
        field = "minutes" if spec.budget.timed else "max_seconds"
        yield LintFinding(
            code="time_too_short",
            severity="warning",
            field=f"budget.{field}",
            what=f"a trial has {spec.steps:,} steps, and {limit:g} s leave "
            f"{1000 * limit / spec.steps:.2g} ms for each, if only one trial is run",
            why="a step of a small network takes about 0.3 ms: the search will be stopped before any trial "
            "has ended, and a trial that did not end has no value",
            instead="more time, fewer epochs, or larger batches",
        )


JOB_RULES: tuple[Callable[[ResolvedSpec], Iterator[LintFinding]], ...] = (
    _steps,
    _spaces,
    _budget,
    _configs,
    _time,
)
