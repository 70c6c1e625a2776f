"""The page at `/`: the jobs, where they stand, the datasets that were sent, and where to read more."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from whichopt.service.datasets import summary_view
from whichopt.service.jobs import linted
from whichopt.service.pages.headers import HEADERS
from whichopt.service.routes.dependencies import Cursor, TheSettings, TheStore
from whichopt.service.templating import templates
from whichopt.service.workload_words import data_line, goal_line, model_line

if TYPE_CHECKING:
    from jinja2 import Environment

router = APIRouter(include_in_schema=False)

JOBS_A_PAGE, DATASETS_A_PAGE = 25, 25


@router.get("/", response_class=HTMLResponse)
def page(request: Request, store: TheStore, settings: TheSettings, before: Cursor) -> HTMLResponse:
    with store.read() as tx:
        jobs = tx.views.jobs(state=None, before=before, limit=JOBS_A_PAGE, alive_s=settings.worker_alive_s)
        workers = tx.workers.live(settings.worker_alive_s)
        datasets = tx.datasets.page(before=None, limit=DATASETS_A_PAGE) if before is None else []
    html = (
        _templates()
        .get_template("jobs.html")
        .render(
            base=request.scope["root_path"],
            jobs=list(map(linted, jobs.items)),
            datasets=list(map(summary_view, datasets)),
            data_line=data_line,
            goal_line=goal_line,
            model_line=model_line,
            unreadable=jobs.unreadable,
            older=jobs.cursor,
            workers=workers,
            refresh_s=5 if any(not job.state.ended for job in jobs.items) else 60,
        )
    )
    return HTMLResponse(html, headers=HEADERS)


@cache
def _templates() -> Environment:
    return templates()
