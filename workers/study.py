"""What to try next: the configs of a round. A pure function of the spec and the recorded results.

A study is rebuilt in memory from its recorded trials whenever a round is planned: Optuna keeps nothing,
so there is nothing that could disagree with our rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from service.catalog import tasks
from service.evidence.finalists import finalists
from service.space import Categorical, Config, Dimension, Float, Int, Space, Value
from service.spec import ResolvedOptimizer, ResolvedSpec
from service.states import Direction, Origin, Phase, TrialState
from service.trials import Rung, Seeds, Trial, TrialPlan

optuna.logging.set_verbosity(optuna.logging.WARNING)

COHORT_TRIALS: Mapping[str, int] = {"solo": 4}
"""Trials in a cohort, by executor. Alone they gain nothing from company, so small units spread best."""

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


def next_round(
    spec: ResolvedSpec, trials: Sequence[Trial], *, executor: str, out_of_time: bool = False
) -> Round | None:
    """The round after `trials`, all of which have ended; None once the job can be concluded."""
    if any(trial.plan.phase is Phase.CONFIRM for trial in trials):
        return None
    done = len(trials) // (len(spec.optimizers) * spec.budget.replicates)
    remaining = spec.budget.study_trials - done
    if remaining and not (out_of_time and done):
        size = min(remaining, round_size(spec.budget.study_trials))
        groups = [
            _search(spec, trials, replicate, range(done, done + size))
            for replicate in range(spec.budget.replicates)
        ]
    else:
        seeds = min(spec.budget.confirm_seeds, CUT_SHORT_SEEDS) if remaining else spec.budget.confirm_seeds
        groups = [_confirm(spec, trials, number) for number in range(seeds)]
    cohorts = [cohort for plans in groups for cohort in _chunks(plans, COHORT_TRIALS[executor])]
    return Round(cohorts, cut_short=bool(remaining) and out_of_time and bool(done))


def round_size(study_trials: int) -> int:
    """Trials of one study that are planned together: about a sixth of them, at most 8 or a sixteenth.

    More rounds make better use of what is known; fewer keep all workers busy, and as each round reads all
    that came before it, their number is bounded.
    """
    return max(1, min(math.ceil(study_trials / 6), max(8, math.ceil(study_trials / 16))))


def startup_trials(study_trials: int) -> int:
    """Trials of one study before the sampler stops drawing at random: about a quarter, at most 10."""
    return max(round_size(study_trials), min(10, math.ceil(study_trials / 4)))


def derive(seed: int, *names: object) -> int:
    """A seed of 31 bits for the thing that `names` name, from the job's seed."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """`space` as Optuna has it; a `log1m` dimension is searched as one minus the value, on a log scale."""
    return {name: _distribution(dimension) for name, dimension in space.items()}


def to_config(chosen: ResolvedOptimizer, params: Mapping[str, Value]) -> Config:
    """What Optuna suggested, in our terms, with what is fixed."""
    found = {name: _from_param(chosen.searched[name], value) for name, value in params.items()}
    return {**chosen.default, **found}


def to_params(space: Space, config: Config) -> dict[str, Value]:
    """`config` as Optuna would have suggested it: the nearest point of the space."""
    return {name: _to_param(dimension, config[name]) for name, dimension in space.items()}


# -- search --------------------------------------------------------------------------------------------


def _search(spec: ResolvedSpec, trials: Sequence[Trial], replicate: int, numbers: range) -> list[TrialPlan]:
    """The next trials of this replicate's studies, by number, then in the order of the spec.

    They share one set of seeds, so that they are compared on the same init and order of examples.
    """
    seeds = Seeds(
        init=derive(spec.seed, "search", replicate, "init"),
        order=derive(spec.seed, "search", replicate, "order"),
        split=derive(spec.seed, "search", replicate, "split"),
    )
    by_label: list[list[TrialPlan]] = []
    for chosen in spec.optimizers:
        own = [
            trial for trial in trials if (trial.plan.label, trial.plan.replicate) == (chosen.label, replicate)
        ]
        rungs = _rungs(spec, own)
        by_label.append(
            [
                _plan(spec, chosen, config, seeds, rungs, Phase.SEARCH, origin, replicate, number)
                for number, (config, origin) in zip(
                    numbers, _configs(spec, chosen, own, replicate, numbers), strict=True
                )
            ]
        )
    return [plan for plans in zip(*by_label, strict=True) for plan in plans]


def _configs(
    spec: ResolvedSpec, chosen: ResolvedOptimizer, own: Sequence[Trial], replicate: int, numbers: range
) -> list[tuple[Config, Origin]]:
    """The study's next configs: the default first, then what the sampler asks for."""
    task = tasks.task(spec.workload.task)
    startup = startup_trials(spec.budget.study_trials)
    space = distributions(chosen.searched)
    study = optuna.create_study(
        direction=task.direction.value,
        sampler=optuna.samplers.TPESampler(
            seed=derive(spec.seed, "sampler", chosen.label, replicate, numbers.start),
            n_startup_trials=startup,
        ),
    )
    study.add_trials([_remembered(trial, chosen.searched, space, task) for trial in own])
    origin = Origin.RANDOM if len(own) < startup else Origin.TPE
    found: list[tuple[Config, Origin]] = []
    for number in numbers:
        if number == 0:
            found.append((chosen.default, Origin.DEFAULT))
        else:
            found.append((to_config(chosen, study.ask(space).params), origin))
    return found


def _remembered(
    trial: Trial, space: Space, known: dict[str, BaseDistribution], task: tasks.TaskEntry
) -> optuna.trial.FrozenTrial:
    """A recorded trial as the sampler sees it: divergence is the worst there is, not a gap."""
    assert trial.result is not None
    params = to_params(space, trial.plan.config)
    if trial.state is TrialState.PRUNED:
        curve = trial.result.curves[f"validation.{task.metric}"]
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED,
            params=params,
            distributions=known,
            intermediate_values={point.step: point.value for point in curve},
        )
    worst = math.inf if task.direction is Direction.MINIMIZE else -math.inf
    value = worst if trial.result.value is None else trial.result.value
    return optuna.trial.create_trial(value=value, params=params, distributions=known)


def _rungs(spec: ResolvedSpec, own: Sequence[Trial]) -> tuple[Rung, ...]:
    """Thresholds from this study's earlier trials: its worst share at each rung, where enough reached it."""
    task = tasks.task(spec.workload.task)
    if not spec.pruning.worst:
        return ()
    points = evaluations(spec)
    sign = 1 if task.direction is Direction.MINIMIZE else -1
    rungs = []
    for index in sorted({max(0, math.ceil(share * len(points)) - 1) for share in spec.pruning.rungs}):
        if index >= len(points) - 1:
            continue  # nothing is left to save at the last evaluation
        reached = []
        for trial in own:
            assert trial.result is not None
            curve = trial.result.curves.get(f"validation.{task.metric}", [])
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


def _confirm(spec: ResolvedSpec, trials: Sequence[Trial], number: int) -> list[TrialPlan]:
    """Every finalist once, on the fresh seeds `number`: init, order, and train against validation."""
    seeds = Seeds(
        init=derive(spec.seed, "confirm", number, "init"),
        order=derive(spec.seed, "confirm", number, "order"),
        split=derive(spec.seed, "confirm", number, "split"),
    )
    return [
        _plan(
            spec,
            spec.optimizer(finalist.label),
            finalist.config,
            seeds,
            (),
            Phase.CONFIRM,
            finalist.origin,
            None if finalist.is_default else finalist.replicates[0],
            number,
        )
        for finalist in finalists(spec, trials)
    ]


# ------------------------------------------------------------------------------------------------------


def evaluations(spec: ResolvedSpec) -> tuple[int, ...]:
    """Examples seen at which a trial is evaluated: the end of every epoch, at most MAX_EVALUATIONS."""
    length = spec.budget.epochs * spec.sizes.train
    count = min(spec.budget.epochs, MAX_EVALUATIONS)
    return tuple(round(length * (i + 1) / count) for i in range(count))


def _plan(
    spec: ResolvedSpec,
    chosen: ResolvedOptimizer,
    config: Config,
    seeds: Seeds,
    rungs: tuple[Rung, ...],
    phase: Phase,
    origin: Origin,
    replicate: int | None,
    number: int,
) -> TrialPlan:
    points = evaluations(spec)
    return TrialPlan(
        label=chosen.label,
        optimizer=chosen.name,
        config=config,
        training=spec.training,
        seeds=seeds,
        length=points[-1],
        evaluations=points,
        rungs=rungs,
        phase=phase,
        origin=origin,
        replicate=replicate,
        number=number,
    )


def _chunks(plans: list[TrialPlan], most: int) -> list[list[TrialPlan]]:
    """`plans` in order, in as few chunks of at most `most` as can be, of near equal size."""
    count = math.ceil(len(plans) / most)
    ends = [round(len(plans) * i / count) for i in range(count + 1)]
    return [plans[start:end] for start, end in pairwise(ends)]


def _distribution(dimension: Dimension) -> BaseDistribution:
    match dimension:
        case Float(scale="log1m"):
            return FloatDistribution(1 - dimension.high, 1 - dimension.low, log=True)
        case Float():
            return FloatDistribution(dimension.low, dimension.high, log=dimension.scale == "log")
        case Int():
            return IntDistribution(dimension.low, dimension.high, log=dimension.scale == "log")
        case Categorical():
            return CategoricalDistribution(dimension.choices)


def _from_param(dimension: Dimension, value: Value) -> Value:
    if isinstance(dimension, Float) and dimension.scale == "log1m":
        return dimension.nearest(1 - float(value))
    return value


def _to_param(dimension: Dimension, value: Value) -> Value:
    nearest = dimension.nearest(value)
    if isinstance(dimension, Float) and dimension.scale == "log1m":
        # Rounding may put 1 - value a hair outside of the range that was computed from its ends.
        return min(max(1 - float(nearest), 1 - dimension.high), 1 - dimension.low)
    return nearest
