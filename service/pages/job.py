"""The page of one job at `/jobs/{id}`: a race in three acts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from whichopt.service.errors import NotFound
from whichopt.service.pages.acts import confirm, search, verdict
from whichopt.service.pages.frame import page as page_of
from whichopt.service.pages.rail import rail
from whichopt.service.pages.scene import Act, scene
from whichopt.service.routes.dependencies import TheSettings, TheStore

router = APIRouter(include_in_schema=False)

ACTS = {Act.SEARCH: search, Act.CONFIRM: confirm, Act.VERDICT: verdict}


@router.get("/jobs/{job_id}", response_class=HTMLResponse)
def page(
    request: Request,
    job_id: str,
    store: TheStore,
    settings: TheSettings,
    act: Annotated[Act | None, Query(description="Act to show; the job's own if it is not given.")] = None,
) -> HTMLResponse:
    try:
        shown = scene(store, uid_of(job_id), alive_s=settings.worker_alive_s, act=act)
    except NotFound:
        return page_of(request, "job/missing.html", title="No such job", status=404, asked=job_id)
    return page_of(
        request,
        "job/page.html",
        title=shown.job.name or shown.spec.workload.short_title,
        current="Jobs",
        scene=shown,
        job=shown.job,
        act=shown.act,
        rail=rail(shown),
        **ACTS[shown.act].values(shown),
    )


def uid_of(job_id: str) -> str:
    """Return the id as we write it; one that is none stays as it is, and no job has it."""
    try:
        return str(UUID(job_id))
    except ValueError:
        return job_id
