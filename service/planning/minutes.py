"""Plans how a job spends its minutes: the number of trials, and the extent of the next round.

The clock runs from the first claim to the recommendation. A probe tells, once and before the first round, how
many trials of each optimizer take equal seconds and how many fresh seeds there is time for (`plan_minutes`).
As a probe of a few steps cannot know how much is pruned or what else keeps the machine busy, each later round
is reckoned anew from what is recorded of the earlier ones (`more_trials`): their training seconds by label
are kept equal, and the time by the clock until the last of their results ends the search when what is left is
needed for confirm. All of it is read off the rows: whoever plans a round plans the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from whichopt.service.configs import room
from whichopt.service.errors import BudgetTooShort
from whichopt.service.planning.looks import later_seeds
from whichopt.service.planning.training_time import (
    clock,
    search_seconds,
    seed_seconds,
    todays_seconds,
    whole_trial_seconds,
)
from whichopt.service.spec import Pruning, ResolvedSpec
from whichopt.service.spec.budget import MAX_TRIALS, MOST_TRIALS, Budget, TimedPlan
from whichopt.service.trials import Trial

CONFIRM_SHARE = 0.4
"""Largest share of the time for confirm."""

LATER_SHARE = 0.12
"""Largest share of the time reserved for confirm stages after the first. A job that is decided in the first
stage ends early by this share."""

LATE_SHARE = 0.12
"""Largest share of the time by which a further stage may be expected to end late."""

AIM_SHARE = 0.1
"""Largest share of the time by which the last stage aims too late, so that the first is not too early."""

TAIL_SHARE = 0.04
"""Share of the search that is too little for a round."""

FEWEST_TRIALS, FEWEST_SEEDS = 2, 3
"""In a study, and in confirm: with less there is nothing to choose from, and nothing to tell."""


def plan_minutes(
    spec: ResolvedSpec,
    *,
    step_seconds: Mapping[str, float],
    trial_seconds: Mapping[str, float],
    processes: int,
) -> ResolvedSpec:
    """Return `spec` with the plan for its minutes, if a step and a whole trial take that long, by label.

    Raises:
        BudgetTooShort: for the fewest trials and seeds.
    """
    budget = spec.budget
    assert budget.minutes is not None
    time = 60 * budget.minutes * processes
    seed = _seed_seconds(spec, trial_seconds)
    seeds = _seeds(spec, seed, time)
    share = search_share(spec.pruning)
    search = time + later_seeds(spec, seeds) * seed / 2 - seeds * seed
    each = search / len(spec.labels)
    per_study = {
        label: round(each / (budget.replicates * share * seconds)) for label, seconds in trial_seconds.items()
    }
    if min(per_study.values()) < FEWEST_TRIALS:
        least = least_minutes(spec, trial_seconds, processes=processes)
        raise BudgetTooShort(
            f"budget.minutes {budget.minutes:g} is too short here: {FEWEST_TRIALS} trials for each of "
            f"{budget.replicates} studies of {len(spec.labels)} optimizers and {FEWEST_SEEDS} fresh seeds "
            f"take about {least:.2g} minutes on {processes} process{'es' if processes > 1 else ''}",
            field="budget.minutes",
            value=budget.minutes,
            allowed=f"about {least:.2g} or more",
        )
    most = _most_trials(spec, seeds) // budget.replicates
    plan = TimedPlan(
        trials={
            label: budget.replicates * min(count, most, _room(spec, label))
            for label, count in per_study.items()
        },
        step_ms={label: 1000 * seconds for label, seconds in step_seconds.items()},
        trial_seconds=dict(trial_seconds),
        search_seconds=each,
        processes=processes,
        confirm_seeds_asked=budget.confirm_seeds,
    )
    return spec.with_timed_plan(plan, confirm_seeds=seeds)


def least_minutes(spec: ResolvedSpec, trial_seconds: Mapping[str, float], *, processes: int) -> float:
    """Return the minutes that the fewest trials and seeds take, by the seconds of a whole trial."""
    share, replicates = search_share(spec.pruning), spec.budget.replicates
    slowest = FEWEST_TRIALS * replicates * share * max(trial_seconds.values())
    seed = _seed_seconds(spec, trial_seconds)
    return (len(spec.labels) * slowest + FEWEST_SEEDS * seed) / (60 * processes)


def _seed_seconds(spec: ResolvedSpec, trial_seconds: Mapping[str, float]) -> float:
    """Training seconds of a fresh seed of every finalist, and of the seeds of today's config that go with it.

    A champion may have up to as many seeds as a label has finalists for each of these, and today's has them.
    """
    each = spec.budget.replicates + 1
    return each * (math.fsum(trial_seconds.values()) + todays_seconds(spec, trial_seconds))


def _seeds(spec: ResolvedSpec, seed: float, time: float) -> int:
    """The most fresh seeds that there is time for, at `seed` training seconds each."""
    fitting = (
        seeds
        for seeds in range(spec.budget.confirm_seeds, FEWEST_SEEDS, -1)
        if seeds * seed <= CONFIRM_SHARE * time and later_seeds(spec, seeds) * seed <= LATER_SHARE * time
    )
    return next(fitting, FEWEST_SEEDS)


def search_share(pruning: Pruning) -> float:
    """Return the mean length of a search trial as a share of a full one: the random trials of a study, about
    a quarter, run to their end, and of the others the worst share stops at each rung."""
    left, at, later = 1.0, 0.0, 0.0
    for rung in sorted(pruning.rungs):
        later += left * (rung - at)
        left, at = left * (1 - pruning.worst), rung
    later += left * (1 - at)
    return 0.25 + 0.75 * later


def _room(spec: ResolvedSpec, label: str) -> int:
    """The trials that a study of the label can have, as each of its configs is trained once."""
    chosen = spec.optimizer(label)
    return room(chosen.searched, chosen.default)


def _most_trials(spec: ResolvedSpec, seeds: int) -> int:
    """Return the most search trials of one label, beside the seeds of its finalists."""
    finalists = spec.budget.replicates + 1
    most = MAX_TRIALS - (0 if spec.today is None else finalists * seeds)
    each = most // len(spec.labels) - finalists * seeds
    return min(MOST_TRIALS, each)


def more_trials(
    spec: ResolvedSpec, searched: Sequence[Trial], *, startup: int, elapsed_s: float | None
) -> dict[str, int]:
    """Return the trials of each label's studies in the next round; none once the search is over.

    What is left of the search is cut as it is for a job with trials: by the label that has the most, of which
    a study draws `startup` at random. The others keep in step.
    """
    budget = spec.budget
    plan, replicates = _plan(budget), budget.replicates
    counts = Counter(trial.plan.label for trial in searched)
    done = {label: counts[label] // replicates for label in spec.labels}
    if not searched:
        share = startup / (budget.study_trials * replicates)
        first = {label: share * plan.trials[label] for label in spec.labels}
        return {label: max(1, round(count)) for label, count in first.items()}
    rest = _rest(spec, searched, done, elapsed_s)
    lead = max(rest, key=lambda label: rest[label])
    expected = done[lead] + rest[lead]
    if rest[lead] < max(0.5, TAIL_SHARE * expected):
        return {}
    most = max(1, min(math.ceil((expected - startup) / 3), max(8, math.ceil(expected / 16))))
    rounds = math.ceil(round(rest[lead]) / most)
    return {label: max(0, round(count / rounds)) for label, count in rest.items()}


def _rest(
    spec: ResolvedSpec, searched: Sequence[Trial], done: Mapping[str, int], elapsed_s: float | None
) -> dict[str, float]:
    """Return how many more trials each label's studies can have, so that all labels get equal seconds."""
    budget = spec.budget
    plan, replicates = _plan(budget), budget.replicates
    most = _most_trials(spec, budget.confirm_seeds) / replicates
    used = search_seconds(spec, searched)
    ratio = _clock(spec, searched, elapsed_s)
    if ratio is None:
        return {label: plan.trials[label] / replicates - done[label] for label in spec.labels}
    total = math.fsum(used.values())
    left = search_minutes(spec, searched, ratio) * 60 / ratio - total
    each = (total + left) / len(spec.labels)
    usual = whole_trial_seconds(spec, searched) or plan.trial_seconds
    rest = {}
    for label in spec.labels:
        a_trial = used[label] / done[label] if done[label] else usual[label] * replicates
        rest[label] = min((each - used[label]) / a_trial, min(most, _room(spec, label)) - done[label])
    return rest


def search_minutes(spec: ResolvedSpec, trials: Sequence[Trial], ratio: float) -> float:
    """When the search has to end, by the clock: so that the job, if it stops after the first stage of confirm
    or after the last, ends about as much too early or too late."""
    budget = spec.budget
    assert budget.minutes is not None
    seed = (seed_seconds(spec, trials) or 0.0) * ratio / 60
    later = min(later_seeds(spec, budget.confirm_seeds) * seed / 2, AIM_SHARE * budget.minutes)
    return budget.minutes + later - budget.confirm_seeds * seed


def has_time(spec: ResolvedSpec, trials: Sequence[Trial], seeds: range, elapsed_s: float | None) -> bool:
    """Tell if those fresh seeds should end about in time; always true without minutes."""
    ratio = _clock(spec, trials, elapsed_s)
    if spec.budget.minutes is None or ratio is None:
        return True
    used = math.fsum(trial.result.seconds for trial in trials if trial.result is not None)
    end = (used + len(seeds) * (seed_seconds(spec, trials, seeds.start) or 0.0)) * ratio
    return end <= (1 + LATE_SHARE) * 60 * spec.budget.minutes


def _clock(spec: ResolvedSpec, trials: Sequence[Trial], elapsed_s: float | None) -> float | None:
    """Seconds by the clock that a training second takes: if no clock was kept, that of the processes."""
    if elapsed_s is not None:
        return clock(trials, elapsed_s)
    used = any(trial.result is not None and trial.result.seconds > 0 for trial in trials)
    plan = spec.budget.settled
    return 1 / plan.processes if used and plan is not None else None


def _plan(budget: Budget) -> TimedPlan:
    if budget.settled is None:
        raise ValueError("the trials that budget.minutes come to are planned before the first round")
    return budget.settled
