"""The pages `/functions` and `/plugins`: people's own code that jobs may name, and who has it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from whichopt.service import plugins as work
from whichopt.service.functions import all_functions
from whichopt.service.pages.catalog.tabs import tabs
from whichopt.service.pages.frame import page as page_of
from whichopt.service.routes.dependencies import TheSettings, TheStore

router = APIRouter(include_in_schema=False)


@router.get("/functions", response_class=HTMLResponse)
def page(request: Request, store: TheStore, settings: TheSettings) -> HTMLResponse:
    with store.read() as tx:
        found = all_functions(tx, settings.allowed_functions, within_s=settings.worker_alive_s)
    return page_of(
        request,
        "catalog/functions.html",
        title="Functions",
        current="Catalog",
        tabs=tabs(store, settings),
        show="functions",
        functions=found,
    )


@router.get("/plugins", response_class=HTMLResponse)
def plugins(request: Request, store: TheStore, settings: TheSettings) -> HTMLResponse:
    with store.read() as tx:
        found = work.views(tx, within_s=settings.worker_alive_s)
    return page_of(
        request,
        "catalog/plugins.html",
        title="Plug-ins",
        current="Catalog",
        tabs=tabs(store, settings),
        show="plugins",
        plugins=found,
    )
