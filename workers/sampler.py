"""Suggests a study's next configs: its default, then those of Optuna's sampler, each once.

A study is rebuilt in memory from its recorded trials whenever a round is planned: Optuna keeps nothing,
so there is nothing that could disagree with our rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from whichopt.service.configs import ConfigKey, config_key, nth_config, points
from whichopt.service.goal import Goal
from whichopt.service.seeds import derive
from whichopt.service.space import Categorical, Config, Dimension, Float, Int, Space, Value
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.service.states import Origin, TrialState
from whichopt.service.trials import Trial

optuna.logging.set_verbosity(optuna.logging.WARNING)

TPE_TRIALS = 256
"""The most trials of a study that the sampler sees, as each of its asks looks at all of them."""

TPE_BEST = 32
"""So many of them are the study's best: more than the 25 that TPE takes for the good ones at most."""

NARROW = 1e-9
"""Relative difference of a range's ends that a logarithm hardly resolves."""

TRIES = 16
"""Number of times that the sampler is asked to replace a config that its study has trained."""


def suggest(
    spec: ResolvedSpec,
    chosen: ResolvedOptimizer,
    earlier: Sequence[Trial],
    replicate: int,
    numbers: range,
    *,
    startup: int,
) -> list[tuple[Config, Origin]]:
    """The study's next configs: the default first, then what the sampler asks for, none of them twice.

    Args:
        spec: the job.
        chosen: the study's optimizer.
        earlier: the study's trials so far, by number.
        replicate: the number of the study among those of its optimizer.
        numbers: those of the trials to come: no more than the space has configs
            (`whichopt.service.configs.room`).
        startup: the number of trials before the sampler stops drawing at random.
    """
    if not numbers:
        return []
    goal = spec.goal
    searched = chosen.searched
    space = distributions(searched)
    study = optuna.create_study(
        direction=goal.direction.value,
        sampler=optuna.samplers.TPESampler(
            seed=derive(spec.seed, "sampler", chosen.label, replicate, numbers.start),
            n_startup_trials=startup,
        ),
    )
    study.add_trials([_remembered(trial, searched, space, goal) for trial in shown_to_sampler(earlier, goal)])
    origin = Origin.RANDOM if len(earlier) < startup else Origin.TPE
    trained = {config_key(trial.plan.config) for trial in earlier}
    configs: list[tuple[Config, Origin]] = []
    for number in numbers:
        if number == 0:
            config, whence = chosen.default, Origin.DEFAULT
        else:
            config, whence = _another(spec, chosen, study, space, trained, (replicate, number)), origin
        trained.add(config_key(config))
        configs.append((config, whence))
    return configs


def _another(
    spec: ResolvedSpec,
    chosen: ResolvedOptimizer,
    study: optuna.Study,
    space: dict[str, BaseDistribution],
    trained: set[ConfigKey],
    trial: tuple[int, int],
) -> Config:
    """A config that the study has not trained: what the sampler suggests; after TRIES, the next one there is
    from a point on that follows from the job's seed."""
    for _ in range(TRIES):
        config = to_config(chosen, ask(study, space))
        if config_key(config) not in trained:
            return config
    count = points(chosen.searched)
    start = derive(spec.seed, "untried", chosen.label, *trial) % count
    numbers = ((start + step) % count for step in range(count))
    others = ({**chosen.default, **nth_config(chosen.searched, number)} for number in numbers)
    return next(config for config in others if config_key(config) not in trained)


def ask(study: optuna.Study, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """Return what `study.ask(space)` suggests, but faster: that goes through the storage and copies the trial
    for each name, and a sampler that finds all names at once needs it only once."""
    if any(known.single() for known in space.values()):
        return study.ask(space).params  # without asking the sampler, which is not made for such
    sampler, number = study.sampler, study.ask().number  # known to the sampler as under way from here on
    trial = study.get_trials(deepcopy=False)[number]
    together = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))
    return {
        name: together[name] if name in together else sampler.sample_independent(study, trial, name, known)
        for name, known in space.items()
    }


def shown_to_sampler(earlier: Sequence[Trial], goal: Goal) -> list[Trial]:
    """The study's trials that the sampler sees, by number, as `earlier` are: all, or TPE_TRIALS of them.

    These are the TPE_BEST that TPE ranks best, and of the others every so-manieth. TPE takes a tenth of what
    it sees for the good ones, but never more than 25: of TPE_TRIALS it takes the same 25 as of all, and only
    what the others are like is read off a sample.
    """
    if len(earlier) <= TPE_TRIALS:
        return list(earlier)
    ranked = sorted(range(len(earlier)), key=lambda i: _rank(earlier[i], goal))
    others = sorted(ranked[TPE_BEST:])
    count = TPE_TRIALS - TPE_BEST
    shown = {*ranked[:TPE_BEST], *(others[len(others) * i // count] for i in range(count))}
    return [earlier[i] for i in sorted(shown)]


def _rank(trial: Trial, goal: Goal) -> tuple[int, int, float]:
    """Return TPE's rank of a trial, the best first; equals are in the order of their numbers.

    Pruned ones are behind all others, also diverged ones: by how far they came, and by their value there.
    """
    assert trial.result is not None
    sign = goal.sign
    if trial.state is TrialState.PRUNED:
        last = trial.result.curves[goal.curve][-1]
        return 1, -last.step, sign * last.value
    return 0, 0, math.inf if trial.result.value is None else sign * trial.result.value


def _remembered(
    trial: Trial, space: Space, known: dict[str, BaseDistribution], goal: Goal
) -> optuna.trial.FrozenTrial:
    """A recorded trial as the sampler sees it: divergence is the worst there is, not a gap."""
    assert trial.result is not None
    params = to_params(space, trial.plan.config)
    if trial.state is TrialState.PRUNED:
        last = trial.result.curves[goal.curve][-1]  # TPE looks at no other
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED,
            params=params,
            distributions=known,
            intermediate_values={last.step: last.value},
        )
    value = goal.sign * math.inf if trial.result.value is None else trial.result.value
    return optuna.trial.create_trial(value=value, params=params, distributions=known)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """`space` as Optuna has it; a `log1m` dimension is searched as one minus the value, on a log scale."""
    return {name: _distribution(dimension) for name, dimension in space.items()}


def to_config(chosen: ResolvedOptimizer, params: Mapping[str, Value]) -> Config:
    """Return Optuna's suggestion as a config, with the fixed hyperparameters."""
    searched = chosen.searched
    values = {name: _from_param(searched[name], value) for name, value in params.items()}
    return {**chosen.default, **values}


def to_params(space: Space, config: Config) -> dict[str, Value]:
    """`config` as Optuna would have suggested it: the nearest point of the space."""
    return {name: _to_param(dimension, config[name]) for name, dimension in space.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    match dimension:
        case Float(scale="log1m"):
            return _floats(1 - dimension.high, 1 - dimension.low, log=True)
        case Float():
            return _floats(dimension.low, dimension.high, log=dimension.scale == "log")
        case Int():
            return IntDistribution(dimension.low, dimension.high, log=dimension.scale == "log")
        case Categorical():
            return CategoricalDistribution(dimension.choices)


def _floats(low: float, high: float, *, log: bool) -> FloatDistribution:
    """The range as Optuna has it; one whose ends have nearly the same logarithm is searched on a linear
    scale, which is the same there, and on which no digit is lost."""
    return FloatDistribution(low, high, log=log and high / low - 1 >= NARROW)


def _from_param(dimension: Dimension, value: Value) -> Value:
    if not isinstance(dimension, Float):
        return value
    if math.isnan(value := float(value)):
        return dimension.low  # TPE, of a range of subnormal numbers
    # The logarithm's rounding may have put it a hair outside.
    return dimension.nearest(1 - value if dimension.scale == "log1m" else value)


def _to_param(dimension: Dimension, value: Value) -> Value:
    nearest = dimension.nearest(value)
    if isinstance(dimension, Float) and dimension.scale == "log1m":
        # Rounding may put 1 - value a hair outside of the range that was computed from its ends.
        return min(max(1 - float(nearest), 1 - dimension.high), 1 - dimension.low)
    return nearest
