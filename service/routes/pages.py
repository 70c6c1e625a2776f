"""The page at `/`: the jobs, where they stand, and where to read more. And the API's description, to read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from whichopt.service.routes.dependencies import Cursor, TheSettings, TheStore
from whichopt.service.templating import TEMPLATES, WEB, templates

if TYPE_CHECKING:
    from jinja2 import Environment

router = APIRouter(include_in_schema=False)

ASSETS = WEB / "assets"
JOBS_A_PAGE = 25
HEADERS = {
    # No scripts at all, and nothing from elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

DOCS_HEADERS = {
    # Swagger UI is ours to serve; it runs, sets styles as it goes, and asks this service alone.
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


@router.get("/", response_class=HTMLResponse)
def page(request: Request, store: TheStore, settings: TheSettings, before: Cursor) -> HTMLResponse:
    with store.read() as tx:
        jobs = tx.views.jobs(state=None, before=before, limit=JOBS_A_PAGE, alive_s=settings.worker_alive_s)
        workers = tx.workers.live(settings.worker_alive_s)
    html = (
        _templates()
        .get_template("jobs.html")
        .render(
            base=request.scope["root_path"],
            jobs=jobs.items,
            unreadable=jobs.unreadable,
            older=jobs.cursor,
            workers=workers,
            refresh_s=5 if any(not job.state.ended for job in jobs.items) else 60,
        )
    )
    return HTMLResponse(html, headers=HEADERS)


@router.get("/docs", response_class=FileResponse)
def docs() -> FileResponse:
    return FileResponse(TEMPLATES / "docs.html", media_type="text/html", headers=DOCS_HEADERS)


@cache
def _templates() -> Environment:
    return templates()
