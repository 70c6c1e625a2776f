"""Jobs on published tables: planned, confirmed and concluded by the product, with runs that are looked up.

A table's "optimizers" are the parts that some of its hyperparameters cut it into, such as the networks of
one, two and three layers. Each has the same space, and a default in the middle of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks.tables.published import Cell, PublishedTable
from whichopt.service.catalog.built_in import built_in
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.rounds import next_round
from whichopt.service.seeds import derive, trial_seeds
from whichopt.service.space import Categorical, Config, Int, Value
from whichopt.service.spec import JobSpec, ResolvedOptimizer, ResolvedSpec, resolve
from whichopt.service.spec.request import SpaceEntry
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult
from whichopt.workers.sampler import suggest

STANDS_FOR = "sgd"
"""The catalog entry whose facts every part of a table has: with equal state, none is picked for less."""


@dataclass(frozen=True)
class Size:
    """The budget of a job; the product's own, if nothing else is said."""

    trials: int = 48
    replicates: int = 3
    confirm_seeds: int = 10


USUAL = Size()


@dataclass(frozen=True)
class Part:
    """A part of a table that competes as an optimizer: the values of the hyperparameters that cut it out."""

    name: str
    fixed: Config


@dataclass(frozen=True)
class Outcome:
    """What a job said, beside the truth. All losses are true ones, of the table.

    `parts` and `studies` go by label: the part that it stands for, and the loss of the config that each of
    its studies chose. `config` says if the config verdict named a winner that is the best one; `optimizer`
    is the label that the optimizer verdict named. The losses of a `single` trial and of `random` search are
    those of the picks that are made without confirm: the job's own best trial, and the best of as many runs
    at random.
    """

    table: str
    repeat: int
    parts: tuple[str, ...]
    studies: tuple[tuple[float, ...], ...]
    config: bool | None
    optimizer: int | None
    pick: float
    single: float
    random: float
    default: float
    runs: int

    @property
    def against_itself(self) -> bool:
        """Tell if the labels stand for the same part, so that no optimizer is better."""
        return len(set(self.parts)) == 1


def parts_of(table: PublishedTable) -> tuple[Part, ...]:
    """The parts of a table, in the order of its grid."""
    choices = [range(len(table.space[name])) for name in table.split]
    return tuple(
        Part(
            name=" ".join(
                _words(name, table.space[name][i]) for name, i in zip(table.split, at, strict=True)
            ),
            fixed={
                name: _index_or_name(table.space[name], i) for name, i in zip(table.split, at, strict=True)
            },
        )
        for at in product(*choices)
    )


def _words(name: str, value: Value) -> str:
    return value if isinstance(value, str) else f"{name} {value}"


def _index_or_name(choices: Sequence[Value], at: int) -> Value:
    """A value as configs have it: numbers, which have an order, by their index, and names as they are."""
    chosen = choices[at]
    return chosen if isinstance(chosen, str) else at


def spec_of(table: PublishedTable, parts: Sequence[Part], size: Size, seed: int) -> ResolvedSpec:
    """Return the job in which those parts of the table compete; the same part may come twice."""
    minimizes = table.direction.sign > 0
    asked = JobSpec.model_validate(
        {
            "workload": {
                "function": f"tables:{table.name}",
                "minimize" if minimizes else "maximize": table.metric,
            },
            "optimizers": [
                {"name": STANDS_FOR, "label": f"{i}-{part.name.replace(' ', '-')}"}
                for i, part in enumerate(parts)
            ],
            "budget": {
                "trials": size.trials,
                "replicates": size.replicates,
                "epochs": 1,
                "confirm_seeds": size.confirm_seeds,
            },
            "seed": seed,
        }
    )
    spec = resolve(asked)
    optimizers = tuple(
        _optimizer(table, part, label, i)
        for i, (part, label) in enumerate(zip(parts, spec.labels, strict=True))
    )
    return spec.model_copy(update={"optimizers": optimizers})


def _optimizer(table: PublishedTable, part: Part, label: str, place: int) -> ResolvedOptimizer:
    space: dict[str, SpaceEntry] = {}
    default: Config = {}
    for name, choices in table.space.items():
        if name in part.fixed:
            space[name] = default[name] = part.fixed[name]
            continue
        names = [choice for choice in choices if isinstance(choice, str)]
        space[name] = Categorical(choices=tuple(names)) if names else Int(low=0, high=len(choices) - 1)
        default[name] = _index_or_name(choices, 0 if names else (len(choices) - 1) // 2)
    facts = built_in().optimizer(STANDS_FOR).facts
    return ResolvedOptimizer(
        name=STANDS_FOR, label=label, space=space, default=default, facts=facts, place=place
    )


def played(table: PublishedTable, spec: ResolvedSpec) -> list[Trial]:
    """Return all trials of the job, round by round, as the product plans them."""
    trials: list[Trial] = []
    while (planned := next_round(spec, trials, suggest)) is not None:
        trials += [
            Trial(plan=plan, state=TrialState.COMPLETE, result=_looked_up(table, plan))
            for cohort in planned.cohorts
            for plan in cohort
        ]
    return trials


def _looked_up(table: PublishedTable, plan: TrialPlan) -> TrialResult:
    value = table.run(plan.config, plan.seeds)
    scores = {"validation": {table.metric: value}}
    if plan.phase is Phase.CONFIRM:
        scores["test"] = {table.metric: value}
    return TrialResult(
        state=TrialState.COMPLETE,
        value=value,
        metrics=scores,
        curves={f"validation.{table.metric}": [Point(1, 1, value)]},
        steps=1,
        examples=1,
        seconds=0.0,
    )


def outcome_of(
    table: PublishedTable, parts: Sequence[Part], repeat: int, size: Size = USUAL, seed: int = 0
) -> Outcome:
    """Play a job in which those parts compete, and hold what it says against the truth.

    Args:
        table: the table.
        parts: what the optimizers are.
        repeat: the number of the job; another one has other seeds.
        size: its budget.
        seed: the seed of the whole measurement.
    """
    names = tuple(part.name for part in parts)
    job = derive(seed, table.name, *names, repeat)
    spec = spec_of(table, parts, size, job)
    trials = played(table, spec)
    arms = finalists(spec, trials)
    answer = recommend("on-a-table", spec, trials)
    assert answer.optimizer is not None
    assert answer.config is not None
    pick = _truth(table, answer.config)
    others = [_truth(table, arm.config) for arm in arms if arm.label != answer.optimizer]
    named = answer.optimizer_verdict.optimizer
    searched = [trial for trial in trials if trial.plan.phase is Phase.SEARCH]
    best = min(searched, key=lambda trial: table.direction.sign * _value(trial))
    return Outcome(
        table=table.name,
        repeat=repeat,
        parts=names,
        studies=tuple(
            tuple(
                _truth(table, next(a for a in arms if a.label == label and r in a.replicates).config)
                for r in range(size.replicates)
            )
            for label in spec.labels
        ),
        config=pick < min(others) if answer.verdict == "winner" else None,
        optimizer=None if named is None else spec.labels.index(named),
        pick=pick,
        single=_truth(table, best.plan.config),
        random=random_search(table, len(trials), job),
        default=float(np.mean([_truth(table, one.default) for one in spec.optimizers])),
        runs=len(trials),
    )


def _truth(table: PublishedTable, config: Config) -> float:
    return float(table.truth[table.cell(config)])


def _value(trial: Trial) -> float:
    assert trial.result is not None
    assert trial.result.value is not None
    return trial.result.value


def random_search(table: PublishedTable, runs: int, seed: int) -> float:
    """Return the true loss of the pick of a plain random search: the best of so many different configs, each
    run once, all with the same seeds.
    """
    random = np.random.default_rng([seed, 1])
    shape = table.truth.shape
    seeds = trial_seeds(seed, "random search", 0)
    cells: list[Cell] = [
        tuple(int(i) for i in np.unravel_index(at, shape))
        for at in random.choice(table.truth.size, size=min(runs, table.truth.size), replace=False)
    ]
    best = min(cells, key=lambda cell: float(table.losses[(*cell, table.drawn(cell, seeds))]))
    return float(table.truth[best])
