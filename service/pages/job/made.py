"""Parts of a job's page with what its finalists' networks make, and the pictures and figures in them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from whichopt.service import samples
from whichopt.service.errors import NotFound
from whichopt.service.made import parted
from whichopt.service.pages.frame import fragment
from whichopt.service.pages.headers import HEADERS
from whichopt.service.pages.job.acts.made import makers_of, shown_of
from whichopt.service.pages.job.scene import Scene, recommendation_of, scene
from whichopt.service.routes.dependencies import JobUid, TheSettings, TheStore

router = APIRouter(include_in_schema=False)


@router.get("/jobs/{job_id}/made", response_class=HTMLResponse)
def others(request: Request, uid: JobUid, store: TheStore, settings: TheSettings) -> HTMLResponse:
    """The samples of the finalists that the page does not show at once."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s)
    found, makers = recommendation_of(shown), makers_of(shown)
    made = shown_of(shown, found, makers, parted(makers, found)[1])
    return fragment(request, "job/made_others.html", job=shown.job, tones=shown.tones, made=made)


@router.get("/jobs/{job_id}/made/{trial}.png", response_class=Response)
def picture(uid: JobUid, trial: str, store: TheStore, settings: TheSettings) -> Response:
    """The images that a finalist's network has made, as one picture."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s)
    with store.read() as tx:
        sample = tx.samples.of(shown.job_id, [trial]).get(trial)
    if sample is None or sample.kind != "images" or samples.problem(sample) is not None:
        raise _nothing(shown, trial)
    return Response(samples.png(sample), media_type="image/png", headers=HEADERS)


@router.get("/jobs/{job_id}/made/{trial}/figure", response_class=Response)
def figure(uid: JobUid, trial: str, store: TheStore, settings: TheSettings) -> Response:
    """The points that a finalist's network has made, as the spec of a figure."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s)
    found, makers = recommendation_of(shown), makers_of(shown)
    own = shown_of(shown, found, makers, [one for one in makers if one.trial == trial])
    if not own or own[0].figure is None:
        raise _nothing(shown, trial)
    return JSONResponse(own[0].figure.spec, headers=HEADERS)


def _nothing(shown: Scene, trial: str) -> NotFound:
    return NotFound(
        f"trial {trial!r} of job {shown.job.id} has made nothing that can be shown so",
        field="trial",
        value=trial,
    )
