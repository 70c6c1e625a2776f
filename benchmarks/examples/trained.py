"""Pairs of configs that were trained on many seeds, with a large part of the data set aside for testing.

The seeds that were trained and the examples that were set aside are the whole truth here: a made-up job draws
its few seeds and its small test split from them, with replacement, and its interval is held against the mean
difference over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whichopt.service.by_example import read
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.planning.rounds import next_round
from whichopt.service.seeds import trial_seeds
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Phase
from whichopt.service.trials import TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.sampler import suggest

Matrix = npt.NDArray[np.float64]

WORKLOADS = (("digits", "linear", "nll"), ("digits", "mlp", "nll"), ("digits", "mlp", "accuracy"))
"""Dataset, model and metric."""

OPTIMIZERS = ("adam", "sgd")

FACTORS = (1.0, 4.0)
"""Of the default's learning rate, for each optimizer's configs."""

TRAINED = Sizes(train=300, validation=100, test=1397)
"""Sizes of the parts of digits: most of it is set aside."""


class Pair(NamedTuple):
    """Two configs of a workload: `lead` has how much better the first one is, by seed and example."""

    name: str
    metric: str
    lead: Matrix


def pairs(seeds: int, *, epochs: int = 30, workloads: int | None = None) -> Iterator[Pair]:
    """Yield every pair of a workload's configs, each trained on so many seeds."""
    for dataset, model, metric in WORKLOADS[:workloads]:
        values = _values(dataset, model, metric, seeds, epochs)
        sign = 1.0 if metric == "nll" else -1.0
        names = list(values)
        for at, one in enumerate(names):
            for other in names[at + 1 :]:
                yield Pair(
                    f"{dataset}/{model}: {one} and {other}", metric, sign * (values[other] - values[one])
                )


def _values(dataset: str, model: str, metric: str, seeds: int, epochs: int) -> dict[str, Matrix]:
    """By config: the metric by seed and example of the test part; without configs that diverge."""
    spec = resolve(
        JobSpec.model_validate(
            {
                "workload": {"dataset": {"name": dataset}, "model": {"name": model}, "metric": metric},
                "optimizers": list(OPTIMIZERS),
                "budget": {"trials": 2, "replicates": 1, "epochs": epochs, "confirm_seeds": 3},
                "executor": "stacked",
            }
        )
    )
    spec = spec.model_copy(update={"workload": spec.workload.model_copy(update={"sizes": TRAINED})})
    first = next_round(spec.with_executor("stacked"), [], suggest)
    assert first is not None
    built = workload.build(spec.cataloged)
    found: dict[str, Matrix] = {}
    for plan, factor in product((plan for plans in first.cohorts for plan in plans), FACTORS):
        runs = [_on_fresh_seed(plan, spec.seed, number, factor) for number in range(seeds)]
        results = EXECUTORS["stacked"]().run(built, runs, Unwatched())
        kept = [result.by_example for result in results]
        if all(kept):
            name = plan.label if factor == 1 else f"{plan.label} at {factor:g} lr"
            found[name] = np.stack([read(text) for text in kept if text is not None])
    return found


def _on_fresh_seed(plan: TrialPlan, seed: int, number: int, factor: float) -> TrialPlan:
    return plan.model_copy(
        update={
            "phase": Phase.CONFIRM,
            "config": {**plan.config, "lr": factor * float(plan.config["lr"])},
            "rungs": (),
            "number": number,
            "seeds": trial_seeds(seed, Phase.CONFIRM, number),
            "evaluations": (plan.length,),
        }
    )
