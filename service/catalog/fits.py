"""Which datasets, tasks and models go together."""

from __future__ import annotations

from dataclasses import replace

from whichopt.service.catalog.datasets import DatasetEntry, DatasetOptions
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.tasks import TaskEntry
from whichopt.service.errors import InvalidSpec


def shape_for(task: TaskEntry, shape: Shape) -> Shape:
    """Return the shape of data as a model of the task sees it."""
    return replace(shape, outputs=shape.features) if task.of_inputs else shape


def usual_shape(data: DatasetEntry) -> Shape:
    """Return the shape of a dataset with its default options."""
    return data.shape(data.options())


def fits(model: ModelEntry, data: DatasetEntry, task: str) -> bool:
    """Tell if the model can be trained on the dataset for the task, whatever the options are."""
    if task not in data.tasks or task not in model.tasks:
        return False
    return not model.needs_image or usual_shape(data).image is not None


def common_tasks(model: ModelEntry, data: DatasetEntry) -> tuple[str, ...]:
    """Return the tasks that the model can be trained for on the dataset, the dataset's own first."""
    return tuple(task for task in data.tasks if fits(model, data, task))


def usual_params(model: ModelEntry, data: DatasetEntry, task: TaskEntry) -> int | None:
    """Return the params of a model with the default options of both; None if these do not go together."""
    options: DatasetOptions = data.options()
    try:
        return model.params(model.options(), shape_for(task, data.shape(options)))
    except InvalidSpec:
        return None
