"""Confirm runs keep the metric on each test example, if it is a mean over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from whichopt.service.by_example import MOST_EXAMPLES, read
from whichopt.service.catalog.tasks import TASKS
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Phase
from whichopt.service.trials import TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine import Executor
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload import Examples, Workload
from whichopt.workers.workload.tasks import CRITERIA

MakePlan = Callable[..., TrialPlan]

WAYS: dict[str, Executor] = {"solo": SoloExecutor()}
if STACKING is not None:
    WAYS |= {"stacked": STACKING.StackedExecutor()}

KEPT = [("wine", "nll"), ("wine", "accuracy"), ("diabetes", "mae")]


def built(dataset: str, metric: str) -> Workload:
    body = {"workload": {"dataset": {"name": dataset}, "model": {"name": "linear"}, "metric": metric}}
    return workload.build(resolve(JobSpec.model_validate(body)).cataloged)


@pytest.mark.parametrize(("dataset", "metric"), KEPT)
@pytest.mark.parametrize("way", WAYS)
def test_their_mean_is_the_metric(
    way: str, dataset: str, metric: str, make_plan: MakePlan, watch: Any
) -> None:
    """Each is a float32 of a float64, so the mean is exact to 6e-8 of their size."""
    plans = [make_plan("adam", phase=Phase.CONFIRM, init=init, split=init) for init in (1, 2)]
    subject = built(dataset, metric)
    for plan, result in zip(plans, WAYS[way].run(subject, plans, watch), strict=True):
        assert result.by_example is not None
        values = read(result.by_example)
        assert len(values) == len(subject.splits(plan.seeds.split).test)
        assert values.mean() == pytest.approx(result.value, rel=1e-7, abs=1e-7 * abs(values).mean())
        assert np.ptp(values) > 0


@pytest.mark.parametrize("way", WAYS)
def test_nothing_else_keeps_them(way: str, make_plan: MakePlan, watch: Any) -> None:
    searched, diverged = WAYS[way].run(
        built("wine", "nll"),
        [make_plan("adam"), make_plan("sgd", phase=Phase.CONFIRM, config={"lr": 1e38})],
        watch,
    )
    assert searched.by_example is None
    assert diverged.by_example is None
    for metric in ("rmse", "r2"):
        (result,) = WAYS[way].run(built("diabetes", metric), [make_plan("adam", phase=Phase.CONFIRM)], watch)
        assert result.by_example is None


def test_every_run_has_the_same_examples_in_the_same_order() -> None:
    one, other = (built("diabetes", "mae").splits(seed) for seed in (1, 2))
    units = [of.test.targets * of.test.unit for of in (one, other)]  # but for the mean of training
    first, second = (of - of.mean() for of in units)
    assert torch.allclose(first, second, atol=1e-3)
    assert not torch.equal(one.train.targets, other.train.targets)


def test_of_a_large_split_a_part_is_kept() -> None:
    subject = built("wine", "accuracy")
    targets = torch.zeros(12_000, dtype=torch.int64)
    outputs = torch.nn.functional.one_hot((torch.arange(12_000) % 7 == 0).long(), 3).float()
    values = subject.values(outputs, Examples(outputs, targets, 1.0))
    assert values is not None
    assert len(values) == MOST_EXAMPLES
    # Of a random 10,000 of 12,000, the share is that of all to 3 standard errors of 0.0014.
    assert abs(values.mean().item() - 6 / 7) < 0.005


def test_the_catalog_says_of_which_metrics_they_are_kept() -> None:
    """What it says can be computed, and is what the metric is the mean of."""
    torch.manual_seed(0)
    outputs, classes, numbers = torch.randn(50, 4), torch.arange(50) % 4, torch.randn(50, 4)
    answers = {
        "classification": (outputs, classes),
        "regression": (outputs, numbers),
        "minimization": (outputs[:, :1], numbers),
    }
    for entry in TASKS:
        criteria = CRITERIA[entry.name]
        for metric in (one.name for one in entry.metrics if one.by_example):
            answered, targets = answers[entry.name]
            (whole,) = criteria.metrics(answered, targets, 2.0, (metric,)).values()
            assert criteria.by_example(answered, targets, 2.0, metric).mean().item() == pytest.approx(
                whole.item(), rel=1e-12
            )
