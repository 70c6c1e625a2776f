"""The policies of `benchmarks.regret`: how to spend the same seconds on two processes, and end with a config.

*whichopt* gets minutes, plans its rounds as a worker does (`whichopt.service.planning.rounds.next_round`: TPE
in each study, pruning, confirm in stages), trains them with the stacked executor, and takes what `recommend`
picks. Its clock runs from the probe for the plan of the minutes to the recommendation.

The others are what people do with Optuna. One study in memory, its TPE sampler as it comes, trials asked for
and told as the two processes get free (nothing faster is possible: no storage, no second copy of the study);
each trial is a plain loop with fused torch optimizers over the same spaces, schedule, length and seeds. Every
optimizer's default is tried first, and the best validation value wins.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import optuna

from benchmarks.regret.problems import Cohort, Single, divided_workload, like
from benchmarks.shared.spaces import default_params, suggested
from benchmarks.shared.trainers import AnyTrainers
from whichopt.service.evidence.verdict.confirm_table import look_at, read_confirm_table
from whichopt.service.evidence.verdict.recommend import recommend, shown
from whichopt.service.evidence.verdict.winners import config_verdict
from whichopt.service.planning import minutes
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.rounds import next_round
from whichopt.service.seeds import trial_seeds
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial, TrialPlan
from whichopt.workers.engine.probe import costs
from whichopt.workers.sampler import distributions, suggest

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Pick:
    """What a policy ended with; `value` is what it chose by, `trials` what it trained on the way."""

    optimizer: str
    config: Config
    value: float
    trials: int
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


# -- the product -----------------------------------------------------------------------------------------


def whichopt(crew: AnyTrainers, spec: ResolvedSpec, aside: int) -> tuple[Pick, Pick]:
    """What the product recommends; and, for the record, what it would by the best mean in a tie."""
    started = time.perf_counter()
    name = spec.workload.model_dump_json()
    spec = _with_plan(crew, spec, aside)
    trials: list[Trial] = []
    elapsed: float | None = None
    while True:
        following = next_round(spec, trials, suggest, workers=crew.count, elapsed_s=elapsed)
        if following is None:
            break
        cohorts = [Cohort(name, aside, "job", plans) for plans in following.cohorts]
        answers: dict[int, Any] = {}
        crew.map(cohorts, answers.__setitem__)
        elapsed = time.perf_counter() - started
        for number, cohort in enumerate(cohorts):
            trials += [
                Trial(plan=plan, state=result.state, result=result)
                for plan, result in zip(cohort.plans, answers[number], strict=True)
            ]
    recommendation = recommend("regret", spec, trials)
    seconds = time.perf_counter() - started
    table = read_confirm_table(spec, trials)
    look = look_at(spec, table)
    verdict = config_verdict(table, alpha=look.config_level, margin=spec.margin)
    pick, best = table.arms[verdict.pick], table.arms[verdict.best]
    picked = pick.label, shown(spec, pick.label, pick.config)
    if (recommendation.optimizer, recommendation.config) != picked:
        raise AssertionError(
            f"the recommendation is not the verdict's pick: {recommendation.config}, {pick.config}"
        )
    searched = [trial for trial in trials if trial.plan.phase is Phase.SEARCH]
    details = {
        "verdict": recommendation.verdict,
        "equivalent": recommendation.equivalent,
        "search_trials": len(searched),
        "confirm_trials": len(trials) - len(searched),
        "fresh_seeds": len(table.seeds),
        "search_seconds": math.fsum(trial.result.seconds for trial in searched if trial.result) / crew.count,
        "replicate": pick.replicate,
    }

    def made(arm: Finalist, index: int) -> Pick:
        return Pick(arm.optimizer, arm.config, table.means[index], len(trials), seconds, details)

    return made(pick, verdict.pick), made(best, verdict.best)


def _with_plan(crew: AnyTrainers, spec: ResolvedSpec, aside: int) -> ResolvedSpec:
    """With what the minutes come to, by the product's own probe."""
    built = divided_workload(spec.workload.model_dump_json(), aside).job
    base = like(spec, trial_seeds(spec.seed, Phase.SEARCH, 0))
    plans = [_of(base, chosen) for chosen in spec.optimizers]
    spec = spec.with_executor("stacked")
    cost = costs(built, plans, spec.executors or {})
    return minutes.plan_minutes(
        spec,
        step_seconds={label: cost[label].step for label in spec.labels},
        trial_seconds={label: cost[label].of(base) for label in spec.labels},
        processes=crew.count,
    )


def _of(base: TrialPlan, chosen: ResolvedOptimizer) -> TrialPlan:
    changes = {"label": chosen.label, "optimizer": chosen.name, "config": chosen.default}
    return base.model_copy(update=changes)


# -- the others ------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """A config to try; `token` is for the policy that asked."""

    optimizer: str
    config: Config
    token: optuna.Trial | None = None


class Policy(Protocol):
    """Asked whenever a process is free; None, where it must wait for what is under way."""

    def ask(self) -> Asked | None: ...

    def tell(self, asked: Asked, value: float) -> None: ...


class Tuned:
    """One optimizer tuned alone by TPE, its default first."""

    def __init__(self, chosen: ResolvedOptimizer, seed: int, known: float | None = None) -> None:
        self.chosen = chosen
        self.study = _study(seed)
        if known is None:
            self.study.enqueue_trial(default_params(chosen))
        else:
            space = distributions(chosen.searched)
            known_trial = optuna.trial.create_trial(
                params=default_params(chosen), distributions=space, value=known
            )
            self.study.add_trial(known_trial)

    def ask(self) -> Asked:
        trial = self.study.ask()
        return Asked(self.chosen.name, suggested(trial, self.chosen), trial)

    def tell(self, asked: Asked, value: float) -> None:
        assert asked.token is not None
        self.study.tell(asked.token, value)


class DefaultsFirst:
    """Every optimizer's default; then the optimizer with the best one is tuned."""

    def __init__(self, spec: ResolvedSpec) -> None:
        self.spec = spec
        self.left = list(spec.optimizers)
        self.defaults: dict[str, float] = {}
        self.tuned: Tuned | None = None

    def ask(self) -> Asked | None:
        if self.left:
            chosen = self.left.pop(0)
            return Asked(chosen.name, chosen.default)
        if self.tuned is None and len(self.defaults) == len(self.spec.optimizers):
            best = min(self.defaults, key=lambda name: self.defaults[name])
            chosen = next(chosen for chosen in self.spec.optimizers if chosen.name == best)
            self.tuned = Tuned(chosen, self.spec.seed, known=self.defaults[best])
        return None if self.tuned is None else self.tuned.ask()

    def tell(self, asked: Asked, value: float) -> None:
        if asked.token is None:
            self.defaults[asked.optimizer] = value
        else:
            assert self.tuned is not None
            self.tuned.tell(asked, value)


class Joint:
    """One study over all optimizers: which one is a categorical parameter, and the rest hang on it."""

    def __init__(self, spec: ResolvedSpec) -> None:
        self.spec = spec
        self.study = _study(spec.seed)
        for chosen in spec.optimizers:
            params = {f"{chosen.name}.{name}": value for name, value in default_params(chosen).items()}
            self.study.enqueue_trial({"optimizer": chosen.name, **params})

    def ask(self) -> Asked:
        trial = self.study.ask()
        names = [chosen.name for chosen in self.spec.optimizers]
        name = trial.suggest_categorical("optimizer", names)
        chosen = next(chosen for chosen in self.spec.optimizers if chosen.name == name)
        return Asked(chosen.name, suggested(trial, chosen, f"{chosen.name}."), trial)

    def tell(self, asked: Asked, value: float) -> None:
        assert asked.token is not None
        self.study.tell(asked.token, value)


ADAMW, DEFAULTS, JOINT = "AdamW, Optuna", "defaults, then Optuna", "joint Optuna"
OTHERS: dict[str, Callable[[ResolvedSpec], Policy]] = {
    ADAMW: lambda spec: Tuned(spec.optimizer("adamw"), spec.seed),
    DEFAULTS: DefaultsFirst,
    JOINT: Joint,
}


def other(crew: AnyTrainers, policy: Policy, spec: ResolvedSpec, aside: int, seconds: float) -> Pick:
    """What that policy has found when the seconds are over; what comes in later does not count."""
    started = time.perf_counter()
    name, base = spec.workload.model_dump_json(), like(spec, trial_seeds(spec.seed, Phase.SEARCH, 0))
    asked: dict[int, Asked] = {}
    results: list[tuple[float, Asked]] = []

    def source() -> Single | None:
        thing = policy.ask() if time.perf_counter() - started < seconds else None
        if thing is None:
            return None
        single = Single(name, aside, base, thing.optimizer, thing.config)
        asked[id(single)] = thing
        return single

    def sink(single: Single, value: float) -> None:
        if time.perf_counter() - started <= seconds:
            thing = asked.pop(id(single))
            policy.tell(thing, value)
            results.append((value, thing))

    crew.feed(source, sink)
    if not results:
        raise RuntimeError(f"not one trial of {spec.name} ended within {seconds:.3g} s")
    value, best = min(results, key=lambda pair: pair[0])
    return Pick(best.optimizer, best.config, value, len(results), seconds)


def _study(seed: int) -> optuna.Study:
    return optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
