"""The views of catalog entries, with their spaces, defaults and sources."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.optimizers import OptimizerEntry
from whichopt.service.catalog.tasks import TaskEntry
from whichopt.service.views.view import View


class HyperparameterView(View):
    name: str
    default: Any
    space: dict[str, Any]


class CatalogEntry(View):
    """An entry of the catalog; `details` depend on its kind."""

    name: str
    title: str
    details: dict[str, Any]


def optimizer_view(entry: OptimizerEntry) -> CatalogEntry:
    """`default` has torch's own form; `hyperparameters` are as the space has them."""
    hyperparameters = [
        HyperparameterView(name=name, default=entry.default[name], space=dimension.model_dump(mode="json"))
        for name, dimension in entry.space.items()
    ]
    details = {
        "class": entry.build.target,
        "hyperparameters": [each.model_dump(mode="json") for each in hyperparameters],
        "default": entry.arguments(entry.default),
        "fixed": dict(entry.build.fixed),
        "state_bytes": entry.state_bytes,
        "source": entry.source,
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def model_view(entry: ModelEntry) -> CatalogEntry:
    details = {"about": entry.about, "needs_image": entry.needs_image, "options": _options(entry.options)}
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def dataset_view(entry: DatasetEntry) -> CatalogEntry:
    """Shape and sizes are those of the default options."""
    details = {
        "task": entry.task,
        **asdict(entry.shape(entry.options())),
        "splits": asdict(entry.sizes(entry.options())),
        "options": _options(entry.options),
        "source": entry.source,
        "uploaded": False,
        "state": "ready",
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def task_view(entry: TaskEntry) -> CatalogEntry:
    details = {
        "metric": entry.goal.metric,
        "metrics": list(entry.goal.metrics),
        "direction": entry.goal.direction.value,
        "about": entry.about,
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def _options(kind: type[BaseModel]) -> dict[str, Any]:
    """The options of the entry in a job spec, as a JSON schema for each."""
    properties: dict[str, Any] = kind.model_json_schema().get("properties", {})
    return properties
