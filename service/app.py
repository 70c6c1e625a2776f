"""The service: every part wired to the others, in reading order. Importing it does no work.

Outermost first, a request passes: the base path, metrics, the gate (API key), the body's limit, compression,
HEAD as GET, its route; and whatever goes wrong on the way comes back as a problem document.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.concurrency import run_in_threadpool

from whichopt.service import logs, reporting
from whichopt.service.db import Store
from whichopt.service.dispatch import CeleryDispatcher, Dispatcher, celery_app
from whichopt.service.intake import Keeper
from whichopt.service.pages import site
from whichopt.service.pages.assets import Assets
from whichopt.service.pages.job.watch import Watches
from whichopt.service.races import Races
from whichopt.service.reading import COMMAND
from whichopt.service.reaper import Reaper
from whichopt.service.routes import (
    catalog,
    dashboard,
    datasets,
    events,
    functions,
    health,
    jobs,
    lint,
    plan,
    problems,
    reports,
    results,
    trials,
)
from whichopt.service.routes.access import Gate
from whichopt.service.routes.base_path import BasePath
from whichopt.service.routes.body import BodyLimit
from whichopt.service.routes.head import Head
from whichopt.service.routes.negotiation import Compression
from whichopt.service.settings import Settings, at_start
from whichopt.service.templating import ASSETS
from whichopt.service.views import Problem

log = structlog.get_logger()

PARTS = (
    jobs,
    trials,
    lint,
    plan,
    events,
    results,
    reports,
    datasets,
    catalog,
    functions,
    health,
    *site.PAGES,
)

DESCRIPTION = (
    "Which optimizer, with which hyperparameters, for my model and my data, how sure are we, "
    "and what did it cost? Every call but /healthz needs an API key: in the header X-API-Key, or as "
    "Authorization: Bearer."
)


def create_app(
    settings: Settings, store: Store, dispatcher: Dispatcher, *, reader: Sequence[str] = COMMAND
) -> FastAPI:
    """The service over a database and a broker; it owns the store and closes it.

    `reader` is the command that reads uploaded files.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.state.reaper = reaper = Reaper(store, dispatcher, settings)
        reaper.start()
        # Of the code as it is running now: files that are changed under it must not pass for its version.
        await run_in_threadpool(reporting.renderer)
        yield
        await run_in_threadpool(keeper.stop)
        await run_in_threadpool(reaper.stop)
        store.close()

    app = FastAPI(
        title="whichopt",
        version=health.VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads Swagger UI from a CDN; ours is in pages/docs.py
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "Problem document (RFC 9457)."}},
    )
    app.state.settings, app.state.store, app.state.dispatcher = settings, store, dispatcher
    app.state.reaper = None
    app.state.races, app.state.watches = Races(store), Watches()
    app.state.keeper = keeper = Keeper(store, settings, command=reader)
    app.state.metrics = health.registry(store, settings)

    problems.install(app)
    # Each one added goes around those before it.
    app.add_middleware(Head)
    app.add_middleware(Compression)
    app.add_middleware(BodyLimit, most=settings.max_body_bytes)
    app.add_middleware(Gate, store=store)
    Instrumentator(registry=app.state.metrics).instrument(app)
    app.add_middleware(BasePath, base=settings.base_path)

    routers = [part.router for part in PARTS]
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    app.mount("/assets", Assets(directory=ASSETS))
    dashboard.mount(app, store)

    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def from_environment() -> FastAPI:
    """The service as WHICHOPT_* describe it: `uvicorn --factory whichopt.service.app:from_environment`."""
    settings = at_start()
    logs.configure(settings.log_level)
    if (problem := settings.unwritable_blobs()) is not None:
        log.warning("blobs_unwritable", detail=f"{problem}; until then no report is kept")
    store = Store(settings.database_url, connections=settings.database_connections, makes_file=False)
    # Beside the start, which waits for no database.
    threading.Thread(target=health.tell_standing, args=(store,), name="standing", daemon=True).start()
    return create_app(settings, store, CeleryDispatcher(celery_app(settings)))


def openapi(app: FastAPI) -> dict[str, Any]:
    """The API's description; failures are said to be problem documents, and keys to be needed."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemes = schema["components"]["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "whichopt_key"},
        }
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                document = {"schema": {"$ref": "#/components/schemas/Problem"}}
                operation["responses"]["default"]["content"] = {problems.MEDIA_TYPE: document}
                operation["security"] = [] if path == "/healthz" else [{name: []} for name in schemes]
        app.openapi_schema = schema
    return app.openapi_schema


def openapi_json() -> str:
    """The text of openapi.json, which is committed and compared."""
    settings = Settings(database_url="sqlite://")
    app = create_app(settings, Store(settings.database_url), CeleryDispatcher(None))
    return json.dumps(app.openapi(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_json())
