"""The views of catalog entries, with their spaces, defaults and sources."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from whichopt.service.catalog.capabilities import capabilities
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.origins import Origin
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
        "about": capabilities(entry),
        "class": entry.build.target,
        "hyperparameters": [each.model_dump(mode="json") for each in hyperparameters],
        "default": entry.arguments(entry.default),
        "fixed": dict(entry.build.fixed),
        "matrices": entry.build.matrices or None,
        "state_bytes": entry.state_bytes,
        "source": entry.source,
        **_plugin(entry.origin),
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def model_view(entry: ModelEntry) -> CatalogEntry:
    details = {
        "about": entry.about,
        "tasks": list(entry.tasks),
        "needs_image": entry.needs_image,
        "options": _options(entry.options),
        **_plugin(entry.origin),
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def dataset_view(entry: DatasetEntry) -> CatalogEntry:
    """Shape and sizes are those of the default options; `tasks` are all that it can be used for."""
    details = {
        "task": entry.task,
        "tasks": list(entry.tasks),
        **asdict(entry.shape(entry.options())),
        "splits": asdict(entry.sizes(entry.options())),
        "options": _options(entry.options),
        "source": entry.source,
        "uploaded": False,
        "state": "ready",
        **_plugin(entry.origin),
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def task_view(entry: TaskEntry) -> CatalogEntry:
    """`metric` and `direction` are those of a job that names no metric; `judged_by` has all of them."""
    details = {
        "metric": entry.goal.metric,
        "metrics": list(entry.goal.metrics),
        "direction": entry.goal.direction.value,
        "about": entry.about,
        "options": _options(entry.options),
        "judged_by": [
            {
                "name": one.name,
                "title": one.title,
                "direction": one.direction.value,
                "unit": one.unit,
                "constant_predictor": one.constant,
                "by_example": one.by_example,
            }
            for one in entry.metrics
        ],
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def _plugin(origin: Origin | None) -> dict[str, Any]:
    """Return where a plug-in is from; nothing of what comes with whichopt."""
    if origin is None:
        return {}
    return {"plugin": {"package": origin.package, "version": origin.version, "target": origin.target}}


def _options(kind: type[BaseModel]) -> dict[str, Any]:
    """The options of the entry in a job spec, as a JSON schema for each.

    A schema that needs others refers to those of the API's description, which has them by the same names.
    """
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    properties: dict[str, Any] = schema.get("properties", {})
    return properties
