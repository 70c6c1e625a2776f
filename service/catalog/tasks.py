"""The learning tasks: the loss in training, the metric that selects configs, what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass

from whichopt.service.catalog import find
from whichopt.service.states import Direction


@dataclass(frozen=True)
class TaskEntry:
    """`metric` selects configs and judges finalists; the first of `metrics`."""

    name: str
    title: str
    metrics: tuple[str, ...]
    direction: Direction
    about: str

    @property
    def metric(self) -> str:
        return self.metrics[0]


TASKS = (
    TaskEntry(
        name="classification",
        title="Classification",
        metrics=("nll", "accuracy"),
        direction=Direction.MINIMIZE,
        about="Cross-entropy in training; selected on the mean negative log-likelihood (nats), "
        "accuracy beside it.",
    ),
    TaskEntry(
        name="regression",
        title="Regression",
        metrics=("rmse", "r2"),
        direction=Direction.MINIMIZE,
        about="Mean squared error in training, on standardized targets; selected on the root mean squared "
        "error in the target's own units, R² beside it.",
    ),
)


def task(name: str, *, field: str | None = None) -> TaskEntry:
    return find("task", name, TASKS, field=field)
