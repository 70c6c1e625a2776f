"""What the catalog says of a learning task: its metrics, its loss, and what there is to learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from whichopt.service.catalog import find
from whichopt.service.catalog.metrics import Metric
from whichopt.service.goal import Goal


class TaskOptions(BaseModel):
    """The options of a task; none, unless its entry has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
