"""A search that the job's time has stopped: whether there is something to confirm, or what it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence

from whichopt.service.errors import BudgetTooShort
from whichopt.service.planning.finalists import judged
from whichopt.service.planning.training_time import whole_trial_seconds
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Trial


def was_stopped(trials: Sequence[Trial]) -> bool:
    """Tell if time ran out while trials of the search were running or waiting."""
    return any(trial.plan.phase is Phase.SEARCH and trial.state is TrialState.CANCELLED for trial in trials)


def require_trials(spec: ResolvedSpec, trials: Sequence[Trial], *, seeds: int, processes: int) -> None:
    """Check that every optimizer has a trial that ended.

    Args:
        seeds: Number of fresh seeds that confirm would still run.
        processes: Number of training processes.

    Raises:
        BudgetTooShort: one has none. It says how long a trial takes here, if known, and what to change.
    """
    if {trial.plan.label for trial in judged(spec, trials)} == set(spec.labels):
        return
    budget = spec.budget
    name, limit = ("minutes", budget.minutes) if budget.timed else ("max_seconds", budget.max_seconds)
    assert limit is not None
    ended = sum(trial.state.has_result for trial in trials)
    twice = "twice the " if budget.timed else ""
    sentences = [
        f"{twice}budget.{name} {limit:g} was over after {ended} of {len(trials)} planned search trials, and "
        "the others were stopped: not every optimizer has a trial that counts, so nothing can be compared."
    ]
    unit = 60 if budget.timed else 1
    least = None
    trial_seconds = whole_trial_seconds(spec, trials)
    if trial_seconds is not None:
        one = math.fsum(trial_seconds.values()) / len(trial_seconds)
        first = budget.replicates * math.fsum(trial_seconds.values()) / processes
        least = math.ceil(first / unit * 10) / 10 if budget.timed else math.ceil(first)
        confirm = seeds * (budget.replicates + 1) * math.fsum(trial_seconds.values()) / processes
        sentences.append(
            f"A trial of {budget.epochs} epochs takes about {_s(one)} here: the first one of each study, "
            f"which is a default, takes about {_s(first)} in all on {processes} "
            f"process{'es' if processes > 1 else ''}, the whole search {_s(first * budget.study_trials)}, "
            f"and {seeds} fresh seeds of the finalists up to {_s(confirm)} more."
        )
        evaluation = one / min(budget.epochs, max(len(trial.plan.evaluations) for trial in trials))
        if evaluation > unit * limit:
            sentences.append(
                f"From one evaluation to the next it is {_s(evaluation)}, and a trial counts at its last."
            )
    more = f"{least:g} or more" if least is not None else "more"
    sentences.append(
        f"Set budget.{name} to {more} (the least value only compares defaults), or use fewer epochs, "
        "replicates or optimizers."
    )
    raise BudgetTooShort(" ".join(sentences), field=f"budget.{name}", value=limit, allowed=more)


def _s(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
