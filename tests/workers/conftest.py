"""What the engine's tests share: small workloads, and plans with everything but the matter at hand set."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Point, Schedule, Seeds, Training, TrialPlan
from whichopt.workers.engine import State
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
    return build(resolve(spec).workload)


def _plan(name: str = "adam", **changes: Any) -> TrialPlan:
    """A search trial of 300 examples, evaluated at 100 and at each end of a hundred; `config` is what is to
    differ from the optimizer's default, and Training's and Seeds' fields may be given by their names."""
    config = {**optimizer(name).default, **changes.pop("config", {})}
    training = {"batch_size": 16, "schedule": Schedule(), "clip_norm": None}
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


class Onlooker:
    """A watch that remembers what it is told, and cancels or keeps states when it is told to.

    `states` are as a file would give them back; `cancel_at` is the evaluation at which it says stop.
    """

    def __init__(self, cancel_at: int | None = None, keeping: bool = False) -> None:
        self.cancel_at = cancel_at
        self.keeping = keeping
        self.asked = 0
        self.seen: list[tuple[int, int, list[Point]]] = []
        self.states: list[State] = []

    def cancelled(self) -> bool:
        self.asked += 1
        return self.asked == self.cancel_at

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:
        self.seen.append((position, examples, list(curve)))

    def checkpoint(self, state: Callable[[], State]) -> None:
        if self.keeping:
            file = io.BytesIO()
            torch.save(state(), file)
            file.seek(0)
            self.states.append(torch.load(file, weights_only=True))


@pytest.fixture
def make_watch() -> type[Onlooker]:
    return Onlooker


@pytest.fixture
def watch() -> Onlooker:
    return Onlooker()
