"""What to try next: the configs of a round. A pure function of the spec and the recorded results.

A study is rebuilt in memory from its recorded trials whenever a round is planned: Optuna keeps nothing,
so there is nothing that could disagree with our rows.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from service.catalog import tasks
from service.evidence.finalists import finalists
from service.evidence.staging import looks, settled
from service.seeds import derive, trial_seeds
from service.space import Categorical, Config, Dimension, Float, Int, Space, Value
from service.spec import ResolvedOptimizer, ResolvedSpec
from service.states import Direction, Origin, Phase, TrialState
from service.trials import Rung, Trial, TrialPlan
from workers.cohorts import cut, ends, spread
from workers.pace import has_time, more_trials

optuna.logging.set_verbosity(optuna.logging.WARNING)

TPE_TRIALS = 256
"""The most trials of a study that the sampler sees, as each of its asks looks at all of them."""

TPE_BEST = 32
"""So many of them are the study's best: more than the 25 that TPE takes for the good ones at most."""

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
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    *,
    executor: str,
    workers: int = 1,
    out_of_time: bool = False,
    elapsed_s: float | None = None,
) -> Round | None:
    """The round after `trials`, all of which have ended; None once the job can be concluded.

    Search comes first, then confirm in the stages of `service.evidence.staging`, each a round, while the
    outcome is open. Once it is `out_of_time`, the search ends after one round at least, and confirm has one
    stage: the first one, or CUT_SHORT_SEEDS where the search was cut short.

    Args:
        workers: the processes that wait for it. They bear on how its trials are cut into cohorts and on
            nothing else: a trial's result is a pure function of its plan, whatever shares its cohort. If it
            is so only closely (`spec.agreement`), they bear on nothing.
        elapsed_s: from the job's first claim to the last of its results; read where it is given minutes.
    """
    if any(trial.plan.phase is Phase.CONFIRM for trial in trials):
        numbers, cut_short = _next_seeds(spec, trials, out_of_time, elapsed_s), False
        groups = _confirm(spec, trials, numbers)
    else:
        left = _left(spec, trials, elapsed_s)
        cut_short = bool(left) and out_of_time and bool(trials)
        if left and not cut_short:
            groups = _search(spec, trials, left)
        else:
            first = looks(spec.budget.confirm_seeds)[0]
            groups = _confirm(spec, trials, range(min(first, CUT_SHORT_SEEDS) if cut_short else first))
    processes = None if spec.agreement == "close" else max(1, workers)
    return Round(cut(groups, executor, processes), cut_short) if groups else None


def ended_early(spec: ResolvedSpec, trials: Sequence[Trial]) -> bool:
    """Whether the job's last round left fresh seeds that might have told more, as only time makes it do."""
    return _confirmed(trials) < spec.budget.confirm_seeds and _settled(spec, trials) is None


def _left(spec: ResolvedSpec, trials: Sequence[Trial], elapsed_s: float | None) -> dict[str, range]:
    """The numbers of each label's trials in the next round of the search; empty once it has ended."""
    budget = spec.budget
    if budget.timed:
        startup = startup_trials(budget.study_trials)
        more = more_trials(spec, trials, startup=startup, elapsed_s=elapsed_s)
        counts = Counter(trial.plan.label for trial in trials)
        done = {label: counts[label] // budget.replicates for label in spec.labels}
        return {label: range(done[label], done[label] + count) for label, count in more.items()}
    each = len(trials) // (len(spec.labels) * budget.replicates)
    if each == budget.study_trials:
        return {}
    end = next(end for end in round_ends(budget.study_trials) if end > each)
    return dict.fromkeys(spec.labels, range(each, end))


def _next_seeds(
    spec: ResolvedSpec, trials: Sequence[Trial], out_of_time: bool, elapsed_s: float | None
) -> range:
    """The fresh seeds of the next stage of confirm; none, where there is none, or no need or time for it."""
    done = _confirmed(trials)
    end = next((seeds for seeds in looks(spec.budget.confirm_seeds) if seeds > done), done)
    if end == done or out_of_time or not has_time(spec, trials, end - done, elapsed_s):
        return range(0)
    return range(0) if _settled(spec, trials) is not None else range(done, end)


def _confirmed(trials: Iterable[Trial]) -> int:
    """Fresh seeds so far."""
    return 1 + max(trial.plan.number for trial in trials if trial.plan.phase is Phase.CONFIRM)


def _settled(spec: ResolvedSpec, trials: Sequence[Trial]) -> str | None:
    return settled(spec, trials, spec.budget.risk)


def startup_trials(study_trials: int) -> int:
    """Trials of one study before the sampler stops drawing at random: about a quarter, at most 10."""
    return min(10, math.ceil(study_trials / 4))


def round_ends(study_trials: int) -> list[int]:
    """How many trials one study has after each of its rounds.

    The first round has all that are drawn at random, as nothing is learned between them. The others are of
    near equal size: at most a third of what remains, and at most 8 or a sixteenth of the study. More rounds
    make better use of what is known; fewer keep all workers busy, and as each round reads all that came
    before it, their number is bounded.
    """
    startup = startup_trials(study_trials)
    rest = study_trials - startup
    most = max(1, min(math.ceil(rest / 3), max(8, math.ceil(study_trials / 16))))
    return [startup, *(startup + end for end in ends(rest, math.ceil(rest / most)))]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """`space` as Optuna has it; a `log1m` dimension is searched as one minus the value, on a log scale."""
    return {name: _distribution(dimension) for name, dimension in space.items()}


def to_config(chosen: ResolvedOptimizer, params: Mapping[str, Value]) -> Config:
    """What Optuna suggested, in our terms, with what is fixed."""
    searched = chosen.searched
    found = {name: _from_param(searched[name], value) for name, value in params.items()}
    return {**chosen.default, **found}


def to_params(space: Space, config: Config) -> dict[str, Value]:
    """`config` as Optuna would have suggested it: the nearest point of the space."""
    return {name: _to_param(dimension, config[name]) for name, dimension in space.items()}


# -- search --------------------------------------------------------------------------------------------


def _search(
    spec: ResolvedSpec, trials: Iterable[Trial], numbers: Mapping[str, range]
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
            own = studies[chosen.label, replicate]
            rungs = _rungs(spec, own)
            configs = _configs(spec, chosen, own, replicate, numbers[chosen.label])
            plans += [
                TrialPlan(
                    **common,
                    label=chosen.label,
                    optimizer=chosen.name,
                    config=config,
                    seeds=seeds,
                    rungs=rungs,
                    phase=Phase.SEARCH,
                    origin=origin,
                    replicate=replicate,
                    number=number,
                )
                for number, (config, origin) in zip(numbers[chosen.label], configs, strict=True)
            ]
        groups.append(spread(plans))
    return groups


def _configs(
    spec: ResolvedSpec, chosen: ResolvedOptimizer, own: Sequence[Trial], replicate: int, numbers: range
) -> list[tuple[Config, Origin]]:
    """The study's next configs: the default first, then what the sampler asks for."""
    task = tasks.task(spec.workload.task)
    startup = startup_trials((spec.budget.trials_of(chosen.label) or 0) // spec.budget.replicates)
    searched = chosen.searched
    space = distributions(searched)
    study = optuna.create_study(
        direction=task.direction.value,
        sampler=optuna.samplers.TPESampler(
            seed=derive(spec.seed, "sampler", chosen.label, replicate, numbers.start),
            n_startup_trials=startup,
        ),
    )
    study.add_trials([_remembered(trial, searched, space, task) for trial in shown_to_sampler(own, task)])
    origin = Origin.RANDOM if len(own) < startup else Origin.TPE
    found: list[tuple[Config, Origin]] = []
    for number in numbers:
        if number == 0:
            found.append((chosen.default, Origin.DEFAULT))
        else:
            found.append((to_config(chosen, ask(study, space)), origin))
    return found


def ask(study: optuna.Study, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """What `study.ask(space)` suggests. That goes through the storage and copies the trial for each name, and
    a sampler that finds all of them at once needs that only once."""
    if any(known.single() for known in space.values()):
        return study.ask(space).params  # without asking the sampler, which is not made for such
    sampler, number = study.sampler, study.ask().number  # known to the sampler as under way from here on
    trial = study.get_trials(deepcopy=False)[number]
    together = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))
    return {
        name: together[name] if name in together else sampler.sample_independent(study, trial, name, known)
        for name, known in space.items()
    }


def shown_to_sampler(own: Sequence[Trial], task: tasks.TaskEntry) -> list[Trial]:
    """The study's trials that the sampler sees, by number, as `own` are: all, or TPE_TRIALS of them.

    These are the TPE_BEST that TPE ranks best, and of the others every so-manieth. TPE takes a tenth of what
    it sees for the good ones, but never more than 25: of TPE_TRIALS it takes the same 25 as of all, and only
    what the others are like is read off a sample.
    """
    if len(own) <= TPE_TRIALS:
        return list(own)
    ranked = sorted(range(len(own)), key=lambda i: _rank(own[i], task))
    others = sorted(ranked[TPE_BEST:])
    count = TPE_TRIALS - TPE_BEST
    shown = {*ranked[:TPE_BEST], *(others[len(others) * i // count] for i in range(count))}
    return [own[i] for i in sorted(shown)]


def _rank(trial: Trial, task: tasks.TaskEntry) -> tuple[int, int, float]:
    """What TPE ranks a trial by, the best first; those that it ranks alike are in the order of their numbers.

    Pruned ones are behind all others, also diverged ones: by how far they came, and by their value there.
    """
    assert trial.result is not None
    sign = _sign(task)
    if trial.state is TrialState.PRUNED:
        last = trial.result.curves[f"validation.{task.metric}"][-1]
        return 1, -last.step, sign * last.value
    return 0, 0, math.inf if trial.result.value is None else sign * trial.result.value


def _remembered(
    trial: Trial, space: Space, known: dict[str, BaseDistribution], task: tasks.TaskEntry
) -> optuna.trial.FrozenTrial:
    """A recorded trial as the sampler sees it: divergence is the worst there is, not a gap."""
    assert trial.result is not None
    params = to_params(space, trial.plan.config)
    if trial.state is TrialState.PRUNED:
        last = trial.result.curves[f"validation.{task.metric}"][-1]  # TPE looks at no other
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED,
            params=params,
            distributions=known,
            intermediate_values={last.step: last.value},
        )
    value = _sign(task) * math.inf if trial.result.value is None else trial.result.value
    return optuna.trial.create_trial(value=value, params=params, distributions=known)


def _rungs(spec: ResolvedSpec, own: Sequence[Trial]) -> tuple[Rung, ...]:
    """Thresholds from this study's earlier trials: its worst share at each rung, where enough reached it."""
    task = tasks.task(spec.workload.task)
    if not spec.pruning.worst:
        return ()
    points = evaluations(spec)
    sign = _sign(task)
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


def _confirm(spec: ResolvedSpec, trials: Sequence[Trial], numbers: range) -> list[list[TrialPlan]]:
    """Every finalist once on each of the fresh seeds: init, order, and train against validation."""
    common = _common(spec)
    arms = spread(finalists(spec, trials))
    return [
        [
            TrialPlan(
                **common,
                label=finalist.label,
                optimizer=finalist.optimizer,
                config=finalist.config,
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
    """What all plans of a job have in common."""
    points = evaluations(spec)
    return {"training": spec.training, "length": points[-1], "evaluations": points}


def _sign(task: tasks.TaskEntry) -> int:
    """1 where lower is better, else -1."""
    return 1 if task.direction is Direction.MINIMIZE else -1


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
