"""Training functions of a few milliseconds, as a person might write them, and plans of their trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.goal import Goal
from whichopt.service.states import Direction, Origin, Phase
from whichopt.service.trials import Rung, Schedule, Seeds, Training, TrialPlan
from whichopt.workers.guests.course import Course
from whichopt.workers.guests.guest import Guest, TrainingFunction
from whichopt.workers.guests.run import Run

ROWS = 48
X = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0))
Y = (X @ torch.tensor([1.0, -2.0, 0.5])).unsqueeze(1)

LOSS = Goal(metrics=("loss",), direction=Direction.MINIMIZE)


def score(model: nn.Module, rows: Any) -> float:
    """The mean squared error on those rows."""
    with torch.no_grad():
        return F.mse_loss(model(X[rows]), Y[rows]).item()


def epoch(model: nn.Module, optimizer: torch.optim.Optimizer, rows: Any) -> None:
    """Two steps over shuffled halves of the rows."""
    order = torch.as_tensor(rows)[torch.randperm(len(rows))]
    for batch in order.chunk(2):
        optimizer.zero_grad()
        torch.autograd.backward(F.mse_loss(model(X[batch]), Y[batch]))
        optimizer.step()


def fit(run: Run) -> None:
    """A function without fault."""
    fitted, validation = run.split(ROWS)
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        epoch(model, optimizer, fitted)
        run.report(loss=score(model, validation))
    run.test(lambda rows: score(model, rows))


def guest(function: TrainingFunction | None = fit, **parts: Any) -> Guest:
    """Return the guest of a function that reports a loss."""
    name = getattr(function, "__name__", "tests.builders.training_functions:fit")
    return Guest(**{"name": name, "goal": LOSS, "function": function, **parts})


def plan(name: str = "adam", **changes: Any) -> TrialPlan:
    """Return a search trial of 3 epochs; `config` is what is to differ from the optimizer's default."""
    config = {"lr": 0.05, **changes.pop("config", {})}
    epochs = changes.pop("epochs", 3)
    seed = changes.pop("seed", 1)
    rungs: Sequence[tuple[int, float]] = changes.pop("rungs", ())
    return TrialPlan.model_validate(
        {
            "label": name,
            "optimizer": name,
            "config": {**optimizer(name).default, **config},
            "training": Training(batch_size=1, schedule=changes.pop("schedule", Schedule(name="constant"))),
            "seeds": Seeds(init=seed, order=seed, split=seed),
            "length": epochs,
            "evaluations": tuple(range(1, epochs + 1)),
            "rungs": tuple(Rung(examples=at, threshold=threshold) for at, threshold in rungs),
            "phase": Phase.SEARCH,
            "origin": Origin.DEFAULT,
            "replicate": 0,
            "number": 0,
            **changes,
        }
    )


def run_of(plan: TrialPlan, goal: Goal = LOSS, **parts: Any) -> tuple[Run, list[Mapping[str, Any]]]:
    """Return a run in this process, and the list of what it tells."""
    told: list[Mapping[str, Any]] = []
    run = Run(plan, guest(None, goal=goal, **parts), Course(plan, goal, told.append))
    run.seed_all()
    return run, told


def told_of(told: Sequence[Mapping[str, Any]], kind: str) -> list[Any]:
    """Return what was told of that kind."""
    return [message[kind] for message in told if kind in message]


def at_first_step(run: Run, model: nn.Module, make: Callable[[], Tensor] | None = None) -> None:
    """Take one step with the run's optimizer."""
    optimizer = run.optimizer(model)
    optimizer.zero_grad()
    torch.autograd.backward(model(X).square().mean() if make is None else make())
    optimizer.step()
