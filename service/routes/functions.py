"""Serves the functions that an operator allows, and plug-ins, with the workers that offer them."""

from __future__ import annotations

from fastapi import APIRouter

from whichopt.service import plugins as work
from whichopt.service.functions import all_functions
from whichopt.service.routes.dependencies import TheSettings, TheStore
from whichopt.service.views import FunctionView, Page, PluginView

router = APIRouter(prefix="/v1", tags=["catalog"])


@router.get("/functions")
def functions(store: TheStore, settings: TheSettings) -> Page[FunctionView]:
    """List people's own training functions that jobs may name, and which live workers offer them."""
    with store.read() as tx:
        found = all_functions(tx, settings.allowed_functions, within_s=settings.worker_alive_s)
    return Page(items=found)


@router.get("/plugins")
def plugins(store: TheStore, settings: TheSettings) -> Page[PluginView]:
    """List the plug-ins that are installed where live workers run, with what is wrong with any of them."""
    with store.read() as tx:
        found = work.views(tx, within_s=settings.worker_alive_s)
    return Page(items=found)
