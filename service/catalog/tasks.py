"""The learning tasks: the loss in training, the metric that selects configs, what stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whichopt.service.catalog import find
from whichopt.service.goal import Goal
from whichopt.service.states import Direction


@dataclass(frozen=True)
class TaskEntry:
    """A kind of learning task.

    `goal` says what configs are selected by. `loss` is the function of torch that a snippet trains by, and
    `targets` makes the code of random targets from a number of examples and of outputs.
    """

    name: str
    title: str
    goal: Goal
    about: str
    loss: str
    targets: Callable[[int, int], str]


TASKS = (
    TaskEntry(
        name="classification",
        title="Classification",
        goal=Goal(metrics=("nll", "accuracy"), direction=Direction.MINIMIZE),
        loss="torch.nn.functional.cross_entropy",
        targets=lambda examples, classes: f"torch.randint({classes}, ({examples},))",
        about="Cross-entropy in training; selected on the mean negative log-likelihood (nats), "
        "accuracy beside it.",
    ),
    TaskEntry(
        name="regression",
        title="Regression",
        goal=Goal(metrics=("rmse", "r2"), direction=Direction.MINIMIZE),
        loss="torch.nn.functional.mse_loss",
        targets=lambda examples, outputs: f"torch.randn({examples}, {outputs})",
        about="Mean squared error in training, on standardized targets; selected on the root mean squared "
        "error in the target's own units, R² beside it.",
    ),
)


def task(name: str, *, field: str | None = None) -> TaskEntry:
    return find("task", name, TASKS, field=field)
