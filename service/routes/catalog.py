"""Serves the catalog: the names that a job can use, with spaces, defaults and sources.

Datasets, which people can send, are in `whichopt.service.routes.datasets`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter

from whichopt.service import plugins
from whichopt.service.catalog import tasks
from whichopt.service.catalog.built_in import Catalog
from whichopt.service.db import Store
from whichopt.service.errors import NotFound, UnknownName
from whichopt.service.routes.dependencies import TheSettings, TheStore
from whichopt.service.settings import Settings
from whichopt.service.views import CatalogEntry, Page
from whichopt.service.views.catalog import model_view, optimizer_view, task_view

router = APIRouter(prefix="/v1", tags=["catalog"])
Entry = TypeVar("Entry")


@router.get("/optimizers")
def all_optimizers(store: TheStore, settings: TheSettings) -> Page[CatalogEntry]:
    return Page(items=[optimizer_view(entry) for entry in _catalog(store, settings).optimizers])


@router.get("/optimizers/{name}")
def one_optimizer(name: str, store: TheStore, settings: TheSettings) -> CatalogEntry:
    return optimizer_view(_found(_catalog(store, settings).optimizer, name))


@router.get("/models")
def all_models(store: TheStore, settings: TheSettings) -> Page[CatalogEntry]:
    return Page(items=[model_view(entry) for entry in _catalog(store, settings).models])


@router.get("/models/{name}")
def one_model(name: str, store: TheStore, settings: TheSettings) -> CatalogEntry:
    return model_view(_found(_catalog(store, settings).model, name))


@router.get("/tasks")
def all_tasks() -> Page[CatalogEntry]:
    return Page(items=[task_view(entry) for entry in tasks.TASKS])


@router.get("/tasks/{name}")
def one_task(name: str) -> CatalogEntry:
    return task_view(_found(tasks.task, name))


def _catalog(store: Store, settings: Settings) -> Catalog:
    """Return the built-in entries, and those of the plug-ins that live workers offer."""
    with store.read() as tx:
        return plugins.offered(tx, within_s=settings.worker_alive_s)


def _found(find: Callable[[str], Entry], name: str) -> Entry:
    """Return the entry; if the catalog has no such name, it is not found, with the nearest one."""
    try:
        return find(name)
    except UnknownName as error:
        raise NotFound(
            error.detail, field="name", value=name, allowed=error.allowed, nearest=error.nearest
        ) from None
