"""What the buttons of a job's page do: cancel, conclude now, go on.

A page with scripts puts the answer in its place and moves by itself; one without is led back to itself.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from whichopt.service import jobs
from whichopt.service.errors import Conflict
from whichopt.service.pages.frame import fragment
from whichopt.service.pages.headers import HEADERS
from whichopt.service.routes.dependencies import JobUid, TheDispatcher, TheSettings, TheStore
from whichopt.service.views import JobView

router = APIRouter(include_in_schema=False)


@router.post("/jobs/{job_id}/cancel")
def cancel(request: Request, uid: JobUid, store: TheStore, settings: TheSettings) -> Response:
    """Cancel the job."""
    said = "It is being cancelled: what trains now ends within an epoch."
    return _answer(request, uid, said, lambda: jobs.cancel(store, uid, alive_s=settings.worker_alive_s))


@router.post("/jobs/{job_id}/conclude")
def conclude(
    request: Request, uid: JobUid, store: TheStore, dispatcher: TheDispatcher, settings: TheSettings
) -> Response:
    """End confirm at the last look that is done."""
    said = "It is being concluded from the fresh seeds that it has; the verdict follows in a moment."
    alive_s = settings.worker_alive_s
    return _answer(request, uid, said, lambda: jobs.conclude(store, dispatcher, uid, alive_s=alive_s))


@router.post("/jobs/{job_id}/resume")
def resume(
    request: Request, uid: JobUid, store: TheStore, dispatcher: TheDispatcher, settings: TheSettings
) -> Response:
    """Let a job go on that failed for a worker's sake; its page is loaded again, as it moves again."""
    alive_s = settings.worker_alive_s
    answer = _answer(request, uid, "", lambda: jobs.resume(store, dispatcher, uid, alive_s=alive_s))
    if answer.status_code == 200:
        answer.headers["HX-Refresh"] = "true"
    return answer


def _answer(request: Request, uid: str, said: str, act: Callable[[], JobView]) -> Response:
    """Act, and say so; a refusal is said in its own words.

    Raises:
        Conflict: it is refused, and the page has no scripts that could show why.
    """
    scripted = request.headers.get("HX-Request") == "true"
    try:
        act()
    except Conflict as error:
        if not scripted:
            raise
        return fragment(request, "job/asked.html", status=409, said=f"{error.detail}.", refused=True)
    if scripted:
        return fragment(request, "job/asked.html", said=said, refused=False)
    return RedirectResponse(f"{request.scope['root_path']}/jobs/{uid}", status_code=303, headers=HEADERS)
