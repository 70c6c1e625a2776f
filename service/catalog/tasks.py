"""The learning tasks: the loss in training, the metrics that may select configs, and the task's options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.catalog import find
from whichopt.service.catalog.metrics import CLASSIFICATION, REGRESSION, Metric
from whichopt.service.goal import Goal


class TaskOptions(BaseModel):
    """The options of a task; none, unless its entry has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassificationOptions(TaskOptions):
    class_weight: Literal["balanced"] | None = Field(
        default=None,
        description="Weights of the classes in the training loss. `balanced` gives each class of the "
        "training rows the same total weight; metrics are not weighted.",
    )


@dataclass(frozen=True)
class TaskEntry:
    """A kind of learning task.

    Configs are selected by the first of its `metrics`, unless a job names another; the rest stand beside it.
    `loss` is the function of torch that a snippet trains by, and `targets` makes the code of random targets
    from a number of examples and of outputs. `of_inputs` says that there is nothing to learn but the inputs
    themselves, so that a dataset's own labels do not enter.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    about: str
    loss: str
    targets: Callable[[int, int], str]
    options: type[TaskOptions] = TaskOptions
    of_inputs: bool = False

    @property
    def goal(self) -> Goal:
        """The goal of a job that names no metric."""
        return self.goal_by(None)

    def goal_by(self, metric: str | None, *, field: str | None = None) -> Goal:
        """Return the goal of a job that is judged by that metric; None is the task's first.

        Raises:
            UnknownName: the task has no such metric.
        """
        chosen = (
            self.metrics[0]
            if metric is None
            else find(f"{self.name} metric", metric, self.metrics, field=field)
        )
        others = (one.name for one in self.metrics if one is not chosen)
        return Goal(metrics=(chosen.name, *others), direction=chosen.direction)


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
