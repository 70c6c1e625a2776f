"""How the batches of a job have grown, read when somebody asks for it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from whichopt.service.pages.headers import HEADERS
from whichopt.service.pages.job.drawn_batches import Name, drawn
from whichopt.service.pages.job.scene import scene
from whichopt.service.routes.dependencies import JobUid, TheSettings, TheStore
from whichopt.service.states import Phase

router = APIRouter(include_in_schema=False)


@router.get("/jobs/{job_id}/figures/batches/{name}")
def figure(
    request: Request, uid: JobUid, name: Name, store: TheStore, settings: TheSettings, phase: Phase
) -> Response:
    """Return the figure's spec; 204 if no batch has grown yet."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s, races=request.app.state.races)
    found = next((one for one in drawn(shown, phase) if one.name == name), None)
    if found is None:
        return Response(status_code=204, headers=HEADERS)
    return JSONResponse(found.spec, headers=HEADERS)
