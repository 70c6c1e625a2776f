"""The workloads of `benchmarks.regret`, with examples set aside that no policy sees, and what trains them.

The product picks a config by what finalists score on its test split; the other policies pick by validation.
So that none is judged on what it has chosen by, a share of the examples is set aside first, another in each
repetition. All policies work on the rest as if it were the whole dataset (train, validation and test split of
it), and a pick's **test value** is what it scores on the examples set aside, trained again on fresh seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch

from whichopt.service.catalog import datasets
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.planning.rounds import evaluations
from whichopt.service.space import Config
from whichopt.service.spec import JobSpec, ResolvedSpec, ResolvedWorkload, resolve
from whichopt.service.splits import RANDOM, divided, sizes_of
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Seeds, TrialPlan, TrialResult
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.engine.optimizers import build
from whichopt.workers.engine.schedule import factor
from whichopt.workers.workload import Examples, Splits, Workload, order
from whichopt.workers.workload.data import TABLES
from whichopt.workers.workload.table import Table, standardized
from whichopt.workers.workload.tasks import CRITERIA

OPTIMIZERS = ("adabelief", "adamw", "adam", "sgd")
Side = Literal["job", "judge"]
SIDES: tuple[Side, ...] = ("job", "judge")
ASIDE = 0.25
"""Of all examples, those on which picks are judged."""


@dataclass(frozen=True)
class Problem:
    name: str
    workload: Mapping[str, Any]
    batch_size: int
    epochs: int

    def spec(self, seconds: float, seed: int) -> ResolvedSpec:
        """The job that is sent to the product: it gets minutes, and plans the rest itself."""
        return resolve(
            JobSpec.model_validate(
                {
                    "name": self.name,
                    "workload": dict(self.workload),
                    "optimizers": list(OPTIMIZERS),
                    "budget": {"minutes": seconds / 60, "epochs": self.epochs},
                    "batch_size": self.batch_size,
                    "executor": "stacked",
                    "seed": seed,
                }
            )
        )


def _problem(data: str, model: dict[str, Any], batch_size: int, epochs: int) -> Problem:
    name = f"{data.partition('_')[0]}-{model['name']}"
    return Problem(name, {"dataset": {"name": data}, "model": model}, batch_size, epochs)


PROBLEMS = (
    _problem("wine", {"name": "mlp", "hidden": [32]}, 16, 15),
    _problem("breast_cancer", {"name": "mlp", "hidden": [32]}, 32, 10),
    _problem("digits", {"name": "mlp", "hidden": [64]}, 64, 8),
    _problem("digits", {"name": "cnn", "channels": [4, 8]}, 64, 3),
    _problem("diabetes", {"name": "mlp", "hidden": [32]}, 32, 10),
    _problem("friedman1", {"name": "mlp", "hidden": [32]}, 32, 10),
)


class Split(NamedTuple):
    """A workload whose examples are divided once more: for the policies, and for the judge, whose test split
    is the examples set aside."""

    job: Workload
    judge: Workload


@lru_cache(maxsize=2)
def divided_workload(resolved: str, seed: int) -> Split:
    """`resolved` is the workload's JSON; `seed` draws which examples are set aside."""
    spec = ResolvedWorkload.model_validate_json(resolved)
    entry = datasets.dataset(spec.dataset.name)
    table, criteria = TABLES[entry.name](entry.options(**spec.dataset.options)), CRITERIA[spec.task]
    examples = len(table.labels)
    judged = round(examples * ASIDE)
    aside_sizes = Sizes(examples - judged, judged, 0)
    kept, aside, _ = divided(RANDOM, criteria.strata(table.labels), examples, aside_sizes, seed)
    seen = Table(table.features[kept], table.labels[kept])
    sizes = sizes_of(RANDOM, len(kept))
    built = workload.build(spec)

    @lru_cache(maxsize=4)
    def job_splits(split_seed: int) -> Splits:
        return seen.splits(criteria, sizes, split_seed, built.device)

    @lru_cache(maxsize=4)
    def judge_splits(split_seed: int) -> Splits:
        rows = divided(RANDOM, criteria.strata(seen.labels), len(kept), sizes, split_seed)[0]
        inputs = standardized(table.features[aside], seen.features[rows])
        targets, unit = criteria.encode(table.labels[aside], seen.labels[rows])
        held = Examples(
            torch.from_numpy(inputs).to(built.device, torch.float32), targets.to(built.device), unit
        )
        return replace(job_splits(split_seed), test=held)

    return Split(replace(built, splits=job_splits), replace(built, splits=judge_splits))


# -- in the processes that train -------------------------------------------------------------------------


@dataclass(frozen=True)
class Cohort:
    """For the stacked executor, on the policies' examples or on the judge's."""

    workload: str
    aside: int
    on: Side
    plans: list[TrialPlan]


@dataclass(frozen=True)
class Single:
    """For a plain loop: one config, trained as `like` says."""

    workload: str
    aside: int
    like: TrialPlan
    optimizer: str
    config: Config


def desk() -> Callable[[Cohort | Single], list[TrialResult] | float]:
    """In a process: answers cohorts with their results, single configs with their validation loss."""
    executor = EXECUTORS["stacked"]()

    def answer(thing: Cohort | Single) -> list[TrialResult] | float:
        both = divided_workload(thing.workload, thing.aside)
        if isinstance(thing, Single):
            return plain(both.job, thing.like, thing.optimizer, thing.config)
        return executor.run(both.job if thing.on == "job" else both.judge, thing.plans, Unwatched())

    return answer


def plain(built: Workload, like: TrialPlan, optimizer: str, config: Config) -> float:
    """The loop that a user would write, with torch's fused optimizers; the metric on the validation split at
    the last step, with its sign set so that lower is better; infinite where that is not finite.

    Generous: the data are tensors, no DataLoader; nothing is evaluated on the way.
    """
    splits = built.splits(like.seeds.split)
    model = built.model(like.seeds.init)
    made = build(optimizer, config, list(model.parameters()))
    (group,) = made.param_groups
    lr, seen = group["lr"], 0
    inputs, targets = splits.train.inputs, splits.train.targets
    model.train()
    for rows in torch.split(order(like.seeds.order, len(targets), 0, like.length), like.training.batch_size):
        group["lr"] = lr * factor(like.training.schedule, seen + len(rows) / 2, like.length)
        made.zero_grad()
        loss = built.criteria.loss(model(inputs[rows]), targets[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        made.step()
        seen += len(rows)
    model.eval()
    value = built.evaluate(model, splits.validation)[built.goal.metric].item()
    sign = built.goal.sign
    return sign * value if math.isfinite(value) else math.inf


def like(spec: ResolvedSpec, seeds: Seeds) -> TrialPlan:
    """A plan of that length, with the first optimizer's default: others are made of it."""
    chosen, points = spec.optimizers[0], evaluations(spec)
    return TrialPlan(
        label=chosen.label,
        optimizer=chosen.name,
        config=chosen.default,
        training=spec.training,
        seeds=seeds,
        length=points[-1],
        evaluations=points,
        phase=Phase.SEARCH,
        origin=Origin.DEFAULT,
        replicate=0,
        number=0,
    )
