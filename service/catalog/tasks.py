"""The learning tasks: the loss in training, the metrics that may select configs, and the options."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from whichopt.service.catalog import find, language
from whichopt.service.catalog.metrics import CLASSIFICATION, REGRESSION, Metric
from whichopt.service.catalog.task_entry import TaskEntry, TaskOptions
from whichopt.service.catalog.yardsticks import MINIMIZATION

__all__ = ["TASKS", "ClassificationOptions", "TaskEntry", "TaskOptions", "metric", "task"]


class ClassificationOptions(TaskOptions):
    class_weight: Literal["balanced"] | None = Field(
        default=None,
        description="Weights of the classes in the training loss. `balanced` gives each class of the "
        "training rows the same total weight; metrics are not weighted.",
    )


TASKS = (
    TaskEntry(
        name="classification",
        title="Classification",
        metrics=CLASSIFICATION,
        loss="torch.nn.functional.cross_entropy",
        targets=lambda examples, classes: f"torch.randint({classes}, ({examples},))",
        options=ClassificationOptions,
        about="Cross-entropy in training; selected on the mean negative log-likelihood (nats) unless the job "
        "names another metric.",
    ),
    TaskEntry(
        name="regression",
        title="Regression",
        metrics=REGRESSION,
        loss="torch.nn.functional.mse_loss",
        targets=lambda examples, outputs: f"torch.randn({examples}, {outputs})",
        about="Mean squared error in training, on standardized targets; selected on the root mean squared "
        "error in the target's own units unless the job names another metric.",
    ),
    language.TASK,
    MINIMIZATION,
)


def task(name: str, *, field: str | None = None) -> TaskEntry:
    return find("task", name, TASKS, field=field)


def metric(task_name: str, name: str) -> Metric | None:
    """Return the metric of a task of the catalog; None if it has none of that name (a task of one's own)."""
    entry = next((one for one in TASKS if one.name == task_name), None)
    return None if entry is None else next((one for one in entry.metrics if one.name == name), None)


def has_ratio(task_name: str | None, name: str) -> bool:
    """Tell if a percentage of the metric has a meaning; one that nobody knows is taken to have one."""
    found = None if task_name is None else metric(task_name, name)
    return found is None or found.ratio
