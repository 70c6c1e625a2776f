"""Estimates the time of a job's training from the seconds recorded with its results.

Training seconds are how long a worker process was busy with a trial; time by the clock is that of the whole
job, from its first claim on. With p busy processes a training second takes 1/p of a second by the clock, and
somewhat more for what lies between the cohorts: `clock` is that ratio, as the job's own past has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from whichopt.service.evidence.verdict.confirm_table import arms_at
from whichopt.service.forecasts import RoundForecast, Used
from whichopt.service.planning.looks import most_runs
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Trial


def search_seconds(spec: ResolvedSpec, trials: Iterable[Trial]) -> dict[str, float]:
    """Training seconds of each label's search so far."""
    used = dict.fromkeys(spec.labels, 0.0)
    for trial in trials:
        if trial.plan.phase is Phase.SEARCH and trial.result is not None:
            used[trial.plan.label] += trial.result.seconds
    return used


def clock(trials: Iterable[Trial], elapsed_s: float) -> float | None:
    """Seconds by the clock that one training second took; None before the first result.

    `elapsed_s` is the time between the first claim and the last result among `trials`.
    """
    used = math.fsum(trial.result.seconds for trial in trials if trial.result is not None)
    return clock_of(used, elapsed_s)


def clock_of(used_s: float, elapsed_s: float) -> float | None:
    """Return that ratio for results that took `used_s` of training; None before the first of them."""
    return elapsed_s / used_s if used_s > 0 else None


def whole_trial_seconds(spec: ResolvedSpec, trials: Sequence[Trial]) -> dict[str, float] | None:
    """Training seconds of a trial that goes to its end, by label; None if nothing tells.

    Read off the label's confirm runs, if there are any, else off its search: the trials that went to their
    end, else the seconds an example took. A label without either takes what the probe found, or the mean.
    """
    plan = spec.budget.settled
    known = {} if plan is None else dict(plan.trial_seconds)
    for label in spec.trained_labels:
        of_label = [trial for trial in trials if trial.plan.label == label]
        for phase in (Phase.CONFIRM, Phase.SEARCH):
            seconds = _whole([trial for trial in of_label if trial.plan.phase is phase])
            if seconds is not None:
                known[label] = seconds
                break
    if not known:
        return None
    usual = math.fsum(known.values()) / len(known)
    each = {label: known.get(label, usual) for label in spec.labels}
    return each if spec.today is None else {**each, TODAY: known.get(TODAY, todays_seconds(spec, each))}


def todays_seconds(spec: ResolvedSpec, trial_seconds: Mapping[str, float]) -> float:
    """Training seconds that a trial of today's config is expected to take, by those of the job's labels.

    0 without one. It takes as long as a label of the same optimizer; without one, as long as the slowest.
    """
    if spec.today is None:
        return 0.0
    alike = [trial_seconds[one.label] for one in spec.optimizers if one.name == spec.today.name]
    return alike[0] if alike else max(trial_seconds[label] for label in spec.labels)


def _whole(trials: Iterable[Trial]) -> float | None:
    ended = [(trial, trial.result) for trial in trials if trial.result is not None and trial.result.examples]
    complete = [result.seconds for trial, result in ended if trial.state is TrialState.COMPLETE]
    if complete:
        return math.fsum(complete) / len(complete)
    each = [result.seconds / result.examples * trial.plan.length for trial, result in ended]
    return math.fsum(each) / len(each) if each else None


def seed_seconds(spec: ResolvedSpec, trials: Sequence[Trial], seed: int = 0) -> float | None:
    """Training seconds of that fresh seed of all that train on it; None if nothing tells."""
    trial_seconds = whole_trial_seconds(spec, trials)
    return (
        None
        if trial_seconds is None
        else math.fsum(trial_seconds[arm.label] for arm in arms_at(spec, trials, seed))
        + trial_seconds.get(TODAY, 0.0)
    )


def seconds_left(
    spec: ResolvedSpec,
    known: RoundForecast,
    phase: Phase,
    used: Mapping[tuple[str, Phase], Used],
    elapsed_s: float,
) -> float | None:
    """Return the seconds by the clock from the last result to the job's end, if all fresh seeds are run.

    None if nothing tells.

    A search with minutes ends when they ask for it. Another one takes as long for each of its trials as they
    took so far, pruned ones as well.

    Args:
        known: what a trial takes, and how many finalists there are.
        phase: the job's, by now.
        used: the results by now; `elapsed_s` is the time from the first claim to the last of them.
    """
    budget, seed, whole = spec.budget, known.seed_seconds, known.trial_seconds
    ratio = clock_of(math.fsum(one.seconds for one in used.values()), elapsed_s)
    if seed is None or whole is None or ratio is None:
        return None
    confirmed = sum(one.results for (_, of), one in used.items() if of is Phase.CONFIRM)
    finalists = len(known.finalists)
    each = seed / (finalists + (spec.today is not None))
    left = each * max(0, most_runs(spec, finalists) - confirmed)
    if phase is Phase.CONFIRM:
        return left * ratio
    if budget.minutes is not None:
        return max(0.0, 60 * budget.minutes - elapsed_s)
    for label in spec.labels:
        searched = used.get((label, Phase.SEARCH), Used(0, 0.0))
        usual = searched.seconds / searched.results if searched.results else whole[label]
        left += usual * max(0, spec.trials_of(label) - searched.results)
    return left * ratio
