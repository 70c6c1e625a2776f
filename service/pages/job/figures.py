"""The figures of a job's page, each as a Vega-Lite spec that the page draws."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from whichopt.service.figures.figure import Figure
from whichopt.service.figures.progress import Against
from whichopt.service.pages.headers import HEADERS
from whichopt.service.pages.job import drawn_figures
from whichopt.service.pages.job.acts.confirm import coming
from whichopt.service.pages.job.scene import Scene, scene
from whichopt.service.routes.dependencies import JobUid, TheSettings, TheStore

router = APIRouter(include_in_schema=False)


class Name(StrEnum):
    """The figures of a job's page."""

    ODDS = "odds-by-look"
    DEFAULT_AND_TUNED = "default-and-tuned"
    LR = "lr"
    SPACE = "space"
    BEST = "best-so-far"


Label = Annotated[str | None, Query(max_length=64, description="Optimizer; the first one if it is missing.")]


@router.get("/jobs/{job_id}/figures/{name}")
def figure(
    request: Request,
    uid: JobUid,
    name: Name,
    store: TheStore,
    settings: TheSettings,
    optimizer: Label = None,
    against: Against = "trials",
) -> Response:
    """Return the figure's spec; 204 if there is nothing to draw yet."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s, races=request.app.state.races)
    found = made(shown, name, optimizer, against)
    if found is None:
        return Response(status_code=204, headers=HEADERS)
    return JSONResponse(found.spec, headers=HEADERS)


def made(
    shown: Scene, name: Name, optimizer: str | None = None, against: Against = "trials"
) -> Figure | None:
    """Return a figure of a job; None if there is nothing to draw yet.

    Raises:
        UnknownName: the job has no such optimizer.
    """
    label = drawn_figures.label_of(shown, optimizer)
    match name:
        case Name.ODDS:
            return drawn_figures.odds(shown, coming(shown))
        case Name.DEFAULT_AND_TUNED:
            return drawn_figures.default_and_tuned(shown)
        case Name.LR:
            return drawn_figures.lr(shown, [label]).get(label)
        case Name.SPACE:
            return drawn_figures.space(shown, label)
        case Name.BEST:
            return drawn_figures.best(shown, against)
