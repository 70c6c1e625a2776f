"""Serves the catalog: the names that a job can use, with spaces, defaults and sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel

from whichopt.service.catalog import datasets, models, optimizers, tasks
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.optimizers import OptimizerEntry
from whichopt.service.catalog.tasks import TaskEntry
from whichopt.service.errors import NotFound, UnknownName
from whichopt.service.views import CatalogEntry, HyperparameterView, Page

router = APIRouter(prefix="/v1", tags=["catalog"])
Entry = TypeVar("Entry")


@router.get("/optimizers")
def all_optimizers() -> Page[CatalogEntry]:
    return Page(items=[_optimizer(entry) for entry in optimizers.OPTIMIZERS])


@router.get("/optimizers/{name}")
def one_optimizer(name: str) -> CatalogEntry:
    return _optimizer(_found(optimizers.optimizer, name))


@router.get("/models")
def all_models() -> Page[CatalogEntry]:
    return Page(items=[_model(entry) for entry in models.MODELS])


@router.get("/models/{name}")
def one_model(name: str) -> CatalogEntry:
    return _model(_found(models.model, name))


@router.get("/datasets")
def all_datasets() -> Page[CatalogEntry]:
    return Page(items=[_dataset(entry) for entry in datasets.DATASETS])


@router.get("/datasets/{name}")
def one_dataset(name: str) -> CatalogEntry:
    return _dataset(_found(datasets.dataset, name))


@router.get("/tasks")
def all_tasks() -> Page[CatalogEntry]:
    return Page(items=[_task(entry) for entry in tasks.TASKS])


@router.get("/tasks/{name}")
def one_task(name: str) -> CatalogEntry:
    return _task(_found(tasks.task, name))


def _found(find: Callable[[str], Entry], name: str) -> Entry:
    """Return the entry; if the catalog has no such name, it is not found, with the nearest one."""
    try:
        return find(name)
    except UnknownName as error:
        raise NotFound(
            error.detail, field="name", value=name, allowed=error.allowed, nearest=error.nearest
        ) from None


def _optimizer(entry: OptimizerEntry) -> CatalogEntry:
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


def _model(entry: ModelEntry) -> CatalogEntry:
    details = {"about": entry.about, "needs_image": entry.needs_image, "options": _options(entry.options)}
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def _dataset(entry: DatasetEntry) -> CatalogEntry:
    """Shape and sizes are those of the default options."""
    details = {
        "task": entry.task,
        **asdict(entry.shape(entry.options())),
        "splits": asdict(entry.sizes(entry.options())),
        "options": _options(entry.options),
        "source": entry.source,
    }
    return CatalogEntry(name=entry.name, title=entry.title, details=details)


def _task(entry: TaskEntry) -> CatalogEntry:
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
