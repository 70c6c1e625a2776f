"""What the engine's tests share: small workloads, and plans with everything but the matter at hand set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from tests.builders.watches import Onlooker
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Schedule, Seeds, Training, TrialPlan
from whichopt.workers.workload import Workload, build


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """As in worker processes; and for small models one thread is faster than two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _workload(dataset: str = "wine", model: str = "linear", **options: Any) -> Workload:
    spec = JobSpec.model_validate(
        {"workload": {"dataset": {"name": dataset}, "model": {"name": model, **options}}}
    )
    return build(resolve(spec).cataloged)


def _plan(name: str = "adam", **changes: Any) -> TrialPlan:
    """A search trial of 300 examples, evaluated at 100 and at each end of a hundred; `config` is what is to
    differ from the optimizer's default, and Training's and Seeds' fields may be given by their names."""
    config = {**optimizer(name).default, **changes.pop("config", {})}
    training = {"batch_size": 16, "schedule": Schedule(), "clip_norm": None, "growing": None}
    training |= {field: changes.pop(field) for field in list(training) if field in changes}
    seeds = {"init": 1, "order": 2, "split": 3}
    seeds |= {field: changes.pop(field) for field in list(seeds) if field in changes}
    return TrialPlan.model_validate(
        {
            "label": name,
            "optimizer": name,
            "config": config,
            "training": Training.model_validate(training),
            "seeds": Seeds.model_validate(seeds),
            "length": 300,
            "evaluations": (100, 200, 300),
            "phase": Phase.SEARCH,
            "origin": Origin.DEFAULT,
            "replicate": 0,
            "number": 0,
            **changes,
        }
    )


@pytest.fixture
def make_workload() -> Callable[..., Workload]:
    return _workload


@pytest.fixture
def make_plan() -> Callable[..., TrialPlan]:
    return _plan


@pytest.fixture
def make_watch() -> type[Onlooker]:
    return Onlooker


@pytest.fixture
def watch() -> Onlooker:
    return Onlooker()
