"""Plans the configs of the next round: a pure function of the spec and the recorded results.

What one study tries next is handed in (`Suggest`), as it takes Optuna.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from whichopt.service.evidence.verdict.confirm_table import arms_at
from whichopt.service.evidence.verdict.stopping import reason_to_stop
from whichopt.service.planning.cohorts import cut, ends, spread
from whichopt.service.planning.deadline import require_trials, was_stopped
from whichopt.service.planning.finalists import finalists, todays_arm
from whichopt.service.planning.looks import planned_looks
from whichopt.service.planning.minutes import has_time, more_trials
from whichopt.service.seeds import trial_seeds
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trials import Rung, Trial, TrialPlan

MAX_EVALUATIONS = 200
MIN_TRIALS_TO_PRUNE = 4
"""A study's threshold is read off at least so many earlier trials that reached the rung."""

CUT_SHORT_SEEDS = 3
"""Seeds that confirm still gets when max_seconds ended the search."""


@dataclass(frozen=True)
class Round:
    """The cohorts that are planned together; `cut_short` once max_seconds has ended the search."""

    cohorts: list[list[TrialPlan]]
    cut_short: bool


class Suggest(Protocol):
    """The function that returns a study's next configs, none of them twice; the workers bring Optuna's."""

    def __call__(
        self,
        spec: ResolvedSpec,
        chosen: ResolvedOptimizer,
        earlier: Sequence[Trial],
        replicate: int,
        numbers: range,
        *,
        startup: int,
    ) -> list[tuple[Config, Origin]]: ...


def next_round(
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    suggest: Suggest,
    *,
    workers: int = 1,
    out_of_time: bool = False,
    elapsed_s: float | None = None,
) -> Round | None:
    """Return the round after `trials`, all of which have ended; None once the job can be concluded.

    Search comes first, then confirm in the stages of `whichopt.service.planning.looks`, each a round, while
    the outcome is open: by rules 2 every finalist in the first, and champions alone in the others. Once it
    is `out_of_time`, or trials of the search were stopped by time, the search is over, and confirm has one
    stage: the first one, or CUT_SHORT_SEEDS if the search was cut short.

    Args:
        spec: the job. Labels with different `executors` share no cohort; before those are chosen, trials are
            cut as for solo.
        trials: the trials of all rounds before, in any order.
        suggest: what each study tries next.
        workers: the processes that wait for it. They bear on how its trials are cut into cohorts and on
            nothing else: a trial's result is a pure function of its plan, whatever shares its cohort. If it
            is so only closely (`spec.agreement`), they bear on nothing.
        out_of_time: True if no time is left to search.
        elapsed_s: seconds from the job's first claim to the last of its results; read if it is given minutes.

    Raises:
        BudgetTooShort: time has stopped the search before there was anything to confirm.

    Example:
        >>> from whichopt.service.planning.rounds import next_round
        >>> from whichopt.service.spec import JobSpec, resolve
        >>> from whichopt.workers.sampler import suggest
        >>> workload = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
        >>> budget = {"trials": 6, "replicates": 2, "epochs": 5, "confirm_seeds": 3}
        >>> job = {"workload": workload, "optimizers": ["adabelief", "sgd"], "budget": budget}
        >>> spec = resolve(JobSpec.model_validate(job))
        >>> first = next_round(spec, [], suggest)
        >>> [(plan.label, plan.origin.value) for plan in first.cohorts[0]]
        [('adabelief', 'default'), ('sgd', 'default')]
    """
    if any(trial.plan.phase is Phase.CONFIRM for trial in trials):
        numbers, cut_short = _next_seeds(spec, trials, out_of_time, elapsed_s), False
        groups = _confirm(spec, trials, numbers)
    else:
        stopped = was_stopped(trials)
        left = {} if stopped else _left(spec, trials, elapsed_s)
        cut_short = stopped or (bool(left) and out_of_time and bool(trials))
        if left and not cut_short:
            groups = _search(spec, trials, left, suggest)
        else:
            first = _planned(spec, trials)[0]
            seeds = min(first, CUT_SHORT_SEEDS) if cut_short else first
            if stopped:
                require_trials(spec, trials, seeds=seeds, processes=max(1, workers))
            groups = _confirm(spec, trials, range(seeds))
    processes = None if spec.agreement == "close" else max(1, workers)
    # Solo always works, and its small cohorts suit a spec whose executors nobody has chosen yet.
    executors = spec.executors or dict.fromkeys(spec.trained_labels, "solo")
    return Round(cut(groups, executors, processes), cut_short) if groups else None


def ended_early(spec: ResolvedSpec, trials: Sequence[Trial]) -> bool:
    """Tell if the last round left out fresh seeds that could matter, which only a lack of time does."""
    return _confirmed(trials) < _planned(spec, trials)[-1] and _is_open(spec, trials)


def _left(spec: ResolvedSpec, trials: Sequence[Trial], elapsed_s: float | None) -> dict[str, range]:
    """The numbers of each label's trials in the next round of the search; empty once it has ended."""
    budget = spec.budget
    if budget.timed:
        startup = startup_trials(budget.study_trials)
        more = more_trials(spec, trials, startup=startup, elapsed_s=elapsed_s)
        counts = Counter(trial.plan.label for trial in trials)
        done = {label: counts[label] // budget.replicates for label in spec.labels}
        return {label: range(done[label], done[label] + count) for label, count in more.items()}
    # Not by counting: a study whose space has few configs has fewer trials than the others.
    each = 1 + max((trial.plan.number for trial in trials), default=-1)
    most = {label: spec.study_trials_of(label) for label in spec.labels}
    if each >= max(most.values()):
        return {}
    end = next(end for end in round_ends(budget.study_trials) if end > each)
    return {label: range(each, max(each, min(end, most[label]))) for label in spec.labels}


def _next_seeds(
    spec: ResolvedSpec, trials: Sequence[Trial], out_of_time: bool, elapsed_s: float | None
) -> range:
    """The fresh seeds of the next stage of confirm; none if there is none, or no need or time for it."""
    done = _confirmed(trials)
    end = next((seeds for seeds in _planned(spec, trials) if seeds > done), done)
    if end == done or out_of_time or not has_time(spec, trials, range(done, end), elapsed_s):
        return range(0)
    return range(done, end) if _is_open(spec, trials) else range(0)


def _planned(spec: ResolvedSpec, trials: Sequence[Trial]) -> tuple[int, ...]:
    """Fresh seeds after each stage of confirm."""
    return planned_looks(spec, len(finalists(spec, trials)))


def _confirmed(trials: Iterable[Trial]) -> int:
    """Fresh seeds so far."""
    return 1 + max(trial.plan.number for trial in trials if trial.plan.phase is Phase.CONFIRM)


def _is_open(spec: ResolvedSpec, trials: Sequence[Trial]) -> bool:
    """Tell if more fresh seeds could still change what matters."""
    return reason_to_stop(spec, trials, spec.budget.risk) is None


def startup_trials(study_trials: int) -> int:
    """Trials of one study before the sampler stops drawing at random: about a quarter, at most 10."""
    return min(10, math.ceil(study_trials / 4))


def round_ends(study_trials: int) -> list[int]:
    """Return the number of trials that one study has after each of its rounds.

    The first round has all that are drawn at random, as nothing is learned between them. The others are of
    near equal size: at most a third of what remains, and at most 8 or a sixteenth of the study. More rounds
    make better use of what is known; fewer keep all workers busy, and as each round reads all that came
    before it, their number is bounded.
    """
    startup = startup_trials(study_trials)
    rest = study_trials - startup
    most = max(1, min(math.ceil(rest / 3), max(8, math.ceil(study_trials / 16))))
    return [startup, *(startup + end for end in ends(rest, math.ceil(rest / most)))]


# -- search --------------------------------------------------------------------------------------------


def _search(
    spec: ResolvedSpec, trials: Iterable[Trial], numbers: Mapping[str, range], suggest: Suggest
) -> list[list[TrialPlan]]:
    """The next trials of every study, those numbers of each label's: by replicate, labels taking turns.

    Those of a replicate share one set of seeds, so that they are compared on the same init and order of
    examples.
    """
    studies: dict[tuple[str, int | None], list[Trial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: trial.plan.number):
        studies[trial.plan.label, trial.plan.replicate].append(trial)
    common = _common(spec)
    groups = []
    for replicate in range(spec.budget.replicates):
        seeds = trial_seeds(spec.seed, Phase.SEARCH, replicate)
        plans: list[TrialPlan] = []
        for chosen in spec.optimizers:
            earlier = studies[chosen.label, replicate]
            rungs = _rungs(spec, earlier)
            startup = startup_trials((spec.budget.trials_of(chosen.label) or 0) // spec.budget.replicates)
            asked = suggest(spec, chosen, earlier, replicate, numbers[chosen.label], startup=startup)
            plans += [
                TrialPlan(
                    **common,
                    label=chosen.label,
                    optimizer=chosen.name,
                    config=config,
                    training=spec.training_of(chosen.label, config),
                    seeds=seeds,
                    rungs=rungs,
                    phase=Phase.SEARCH,
                    origin=origin,
                    replicate=replicate,
                    number=number,
                )
                for number, (config, origin) in zip(numbers[chosen.label], asked, strict=True)
            ]
        groups.append(spread(plans))
    return groups


def _rungs(spec: ResolvedSpec, earlier: Sequence[Trial]) -> tuple[Rung, ...]:
    """Thresholds from this study's earlier trials: its worst share at each rung, if enough reached it."""
    import numpy as np

    goal = spec.goal
    if not spec.pruning.worst:
        return ()
    points = evaluations(spec)
    sign = goal.sign
    rungs = []
    for index in sorted({max(0, math.ceil(share * len(points)) - 1) for share in spec.pruning.rungs}):
        if index >= len(points) - 1:
            continue  # nothing is left to save at the last evaluation
        reached = []
        for trial in earlier:
            assert trial.result is not None
            curve = trial.result.curves.get(goal.curve, [])
            if index < len(curve):
                reached.append(sign * curve[index].value)
            elif trial.state is TrialState.DIVERGED:
                reached.append(math.inf)
        if len(reached) >= MIN_TRIALS_TO_PRUNE:
            threshold = float(np.quantile(reached, 1 - spec.pruning.worst, method="higher"))
            if math.isfinite(threshold):
                rungs.append(Rung(examples=points[index], threshold=sign * threshold))
    return tuple(rungs)


# -- confirm -------------------------------------------------------------------------------------------


def _confirm(spec: ResolvedSpec, trials: Sequence[Trial], numbers: range) -> list[list[TrialPlan]]:
    """Every arm once on each of the fresh seeds: init, order, and train against validation.

    The arms are the finalists, and by rules 2 after the first stage the champions among them; and whatever
    the stage, today's config.
    """
    common = _common(spec)
    arms = spread(arms_at(spec, trials, numbers.start) if numbers else [])
    arms += [] if spec.today is None else [todays_arm(spec.today)]
    return [
        [
            TrialPlan(
                **common,
                label=finalist.label,
                optimizer=finalist.optimizer,
                config=finalist.config,
                training=spec.training_of(finalist.label, finalist.config),
                seeds=seeds,
                phase=Phase.CONFIRM,
                origin=finalist.origin,
                replicate=finalist.replicate,
                number=number,
            )
            for finalist in arms
        ]
        for number in numbers
        for seeds in [trial_seeds(spec.seed, Phase.CONFIRM, number)]
    ]


# ------------------------------------------------------------------------------------------------------


def evaluations(spec: ResolvedSpec) -> tuple[int, ...]:
    """Examples seen at which a trial is evaluated: the end of every epoch, at most MAX_EVALUATIONS."""
    length = spec.budget.epochs * spec.sizes.train
    count = min(spec.budget.epochs, MAX_EVALUATIONS)
    return tuple(round(length * (i + 1) / count) for i in range(count))


def _common(spec: ResolvedSpec) -> dict[str, Any]:
    """The common part of all plans of a job."""
    points = evaluations(spec)
    return {"length": points[-1], "evaluations": points}
