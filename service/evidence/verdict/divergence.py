"""Explains why nothing is recommended when runs diverged: what the trials show, and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.planning.looks import Look
from whichopt.service.space import Float
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Origin, TrialState
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial

EARLY_SHARE = 0.5
"""If a larger share of the diverged runs had no finite evaluation, checking the data is the first advice."""


def nothing_statement(spec: ResolvedSpec, trials: Sequence[Trial], table: ConfirmTable, look: Look) -> str:
    """Say why no config is recommended, what the trials show, and what to change."""
    steady = min(range(len(table.arms)), key=lambda i: (table.diverged[i], table.means[i]))
    least = table.diverged[steady]
    if least >= look.seeds:
        why = f"every run of every {table.whose} diverged ({look.seeds} fresh seeds)"
    else:
        arm = table.arms[steady]
        which = "its default" if arm.is_default else "a config that its search found"
        why = (
            f"every {table.whose} diverged on at least one fresh seed; the steadiest, {arm.label} with "
            f"{which}, diverged on {least} of {look.seeds}"
        )
    sentences = [f"Which config to deploy? None: {why}. A config that may diverge is not recommended."]
    sentences += _search(spec, trials)
    sentences += _when(spec, trials)
    sentences += _rates(spec, trials)
    return " ".join((*sentences, f"What to change: {what_to_change(spec, trials, spec.labels)}."))


def what_to_change(spec: ResolvedSpec, trials: Sequence[Trial], labels: Sequence[str]) -> str:
    """List what may keep the runs of `labels` finite, the likeliest first."""
    changes = []
    for label in labels:
        chosen = spec.optimizer(label)
        allowed, usual = chosen.space["lr"], chosen.facts.space["lr"]
        if isinstance(allowed, Float):
            changes.append(f"extend the lr range of {label} downwards (it starts at {allowed.low:g})")
        else:
            fixed = chosen.default["lr"]
            changes.append(
                f"lower the lr of {label}, which is fixed at {fixed:g}, or search it ({usual.allowed()})"
            )
    own = spec.guest
    if own is not None:
        changes.append("clip gradients in the function")
    elif spec.clip_norm is None:
        changes.append("clip gradients (for example with clip_norm 1)")
    if own is not None and not (own.rehearsed is not None and own.rehearsed.scheduled):
        changes.append("warm up the learning rate in the function (run.scheduler has a warm-up)")
    elif where := _without_warmup(spec, labels):
        changes.append(f"warm up the learning rate ({where})")
    data = "look for huge or non-finite inputs and targets, and normalize them"
    theirs = [trial for trial in trials if trial.plan.label in labels]
    diverged, early = _diverged(theirs), _early(spec, theirs)
    if diverged and len(early) > EARLY_SHARE * len(diverged):
        return "; ".join((data, *changes))
    return "; ".join((*changes, data))


def _without_warmup(spec: ResolvedSpec, labels: Sequence[str]) -> str:
    """Say what gives a label's learning rate no warm-up; nothing if each of them may have one.

    An optimizer with a schedule of its own is left to that.
    """
    steady = [
        chosen.facts.of_training(chosen.space).get("warmup")
        for chosen in map(spec.optimizer, labels)
        if not chosen.facts.own_schedule
    ]
    if None in steady and not spec.schedule.warmup:
        return "schedule.warmup"
    return "warmup in its space" if 0 in steady else ""


def _search(spec: ResolvedSpec, trials: Sequence[Trial]) -> list[str]:
    searched = TrialSet(spec, trials).searched
    diverged = _diverged(searched)
    defaults = [trial for trial in searched if trial.plan.origin is Origin.DEFAULT]
    if not searched:
        return []
    if not diverged:
        return ["No trial diverged in the search."]
    broken = len(_diverged(defaults))
    among = f", including {broken} of the {len(defaults)} defaults" if broken else ", but no default"
    return [f"In the search, {len(diverged)} of {len(searched)} trials diverged{among}."]


def _when(spec: ResolvedSpec, trials: Sequence[Trial]) -> list[str]:
    diverged, early = _diverged(trials), _early(spec, trials)
    results = [trial.result for trial in diverged if trial.result is not None]
    if not results:
        return []
    if spec.guest is not None:
        return [_epochs(spec, diverged, early)]
    trained = {spec.training_of(trial.plan.label, trial.plan.config) for trial in diverged}
    whole = {training.most_steps(spec.length) for training in trained}
    unit, of = "step", max(whole)
    at = sorted(result.steps for result in results)
    if len(whole) > 1 or any(training.growing is not None for training in trained):
        # Their steps are no measure of each other: batches of several sizes, or of growing ones.
        unit, of, at = "example", spec.length, sorted(result.examples for result in results)
    if len(early) == len(diverged):
        return [
            f"All {len(diverged)} diverged runs diverged before their first evaluation, at {unit} {at[-1]} "
            f"of {of} at the latest."
        ]
    return [
        f"Divergence was detected at {unit} {round(median(at))} of {of} (median); in {len(early)} "
        f"of {len(diverged)} diverged runs, at the first evaluation."
    ]


def _epochs(spec: ResolvedSpec, diverged: Sequence[Trial], early: Sequence[Trial]) -> str:
    """Say in which epoch the runs of a function diverged: only it knows how many steps one has."""
    if len(early) == len(diverged):
        return f"All {len(diverged)} diverged runs diverged before their first report."
    epochs = sorted(trial.result.examples for trial in diverged if trial.result is not None)
    return (
        f"Diverged runs had {round(median(epochs))} of {spec.budget.epochs} epochs (median); {len(early)} of "
        f"{len(diverged)} diverged before their first report."
    )


def _rates(spec: ResolvedSpec, trials: Sequence[Trial]) -> list[str]:
    """Say for each label which learning rates diverged, and the largest that trained."""
    sentences = []
    for label in spec.labels:
        theirs = [trial for trial in trials if trial.plan.label == label]
        rates = [float(trial.plan.config["lr"]) for trial in _diverged(theirs)]
        trained = [float(trial.plan.config["lr"]) for trial in theirs if trial.state is TrialState.COMPLETE]
        if not rates:
            continue
        low, high = f"{min(rates):.4g}", f"{max(rates):.4g}"
        ends = f"at lr {low}" if low == high else f"at lr {low} to {high}"
        up_to = f"; the largest lr that trained was {max(trained):.4g}" if trained else ""
        sentences.append(f"{label} diverged {ends}{up_to}.")
    return sentences


def _diverged(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state is TrialState.DIVERGED]


def _early(spec: ResolvedSpec, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that diverged before their first finite evaluation."""
    curve = spec.goal.curve
    return [
        trial
        for trial in _diverged(trials)
        if trial.result is not None and not trial.result.curves.get(curve)
    ]
