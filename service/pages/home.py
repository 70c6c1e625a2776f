"""The page at `/`: the jobs, where they stand, the datasets that were sent, and where to read more."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from whichopt.service.datasets import summary_view
from whichopt.service.jobs import linted
from whichopt.service.pages.frame import page as page_of
from whichopt.service.routes.dependencies import Cursor, TheSettings, TheStore
from whichopt.service.workload_words import data_line, goal_line, model_line

router = APIRouter(include_in_schema=False)

JOBS_A_PAGE, DATASETS_A_PAGE = 25, 25


@router.get("/", response_class=HTMLResponse)
def page(request: Request, store: TheStore, settings: TheSettings, before: Cursor) -> HTMLResponse:
    with store.read() as tx:
        jobs = tx.views.jobs(state=None, before=before, limit=JOBS_A_PAGE, alive_s=settings.worker_alive_s)
        datasets = tx.datasets.page(before=None, limit=DATASETS_A_PAGE) if before is None else []
    return page_of(
        request,
        "jobs.html",
        title="Jobs",
        current="Jobs",
        jobs=list(map(linted, jobs.items)),
        datasets=list(map(summary_view, datasets)),
        data_line=data_line,
        goal_line=goal_line,
        model_line=model_line,
        unreadable=jobs.unreadable,
        older=jobs.cursor,
    )
