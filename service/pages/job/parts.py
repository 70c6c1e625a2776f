"""Parts of a job's page that come after it, and the files that it offers."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from whichopt.service.errors import NoRecommendation
from whichopt.service.pages.frame import fragment
from whichopt.service.pages.job import drawn_batches, drawn_figures
from whichopt.service.pages.job.acts import verdict
from whichopt.service.pages.job.acts.kept_looks import looks_of
from whichopt.service.pages.job.scene import recommendation_of, scene
from whichopt.service.routes.dependencies import JobUid, TheSettings, TheStore
from whichopt.service.states import Phase

router = APIRouter(include_in_schema=False)

Label = Annotated[str | None, Query(max_length=64, description="Optimizer; the first one if it is missing.")]


@router.get("/jobs/{job_id}/sure", response_class=HTMLResponse)
def sure(request: Request, uid: JobUid, store: TheStore, settings: TheSettings) -> HTMLResponse:
    """The tables of the verdict, with all looks."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s, races=request.app.state.races)
    found = recommendation_of(shown)
    looks_of(shown)  # from here on they are kept
    return fragment(
        request,
        "job/sure.html",
        job=shown.job,
        recommendation=found,
        tones=shown.tones,
        **verdict.sure(shown, found),
    )


@router.get("/jobs/{job_id}/more", response_class=HTMLResponse)
def more(request: Request, uid: JobUid, store: TheStore, settings: TheSettings) -> HTMLResponse:
    """The figures of the verdict."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s, races=request.app.state.races)
    of = recommendation_of(shown).optimizer or shown.spec.labels[0]
    return fragment(
        request,
        "job/more.html",
        job=shown.job,
        tones=shown.tones,
        labels=shown.spec.labels,
        tuned=drawn_figures.default_and_tuned(shown),
        tiles=drawn_figures.lr(shown, shown.spec.labels),
        space=drawn_figures.space(shown, of),
        of=of,
        batches=drawn_batches.drawn(shown, Phase.CONFIRM),
    )


@router.get("/jobs/{job_id}/space", response_class=HTMLResponse)
def space(
    request: Request, uid: JobUid, store: TheStore, settings: TheSettings, optimizer: Label = None
) -> HTMLResponse:
    """The configs of one optimizer's search."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s, races=request.app.state.races)
    of = drawn_figures.label_of(shown, optimizer)
    return fragment(request, "job/space.html", job=shown.job, of=of, space=drawn_figures.space(shown, of))


@router.get("/jobs/{job_id}/config.json")
def config(request: Request, uid: JobUid, store: TheStore, settings: TheSettings) -> Response:
    """The recommended config as a file: the optimizer's name, and every hyperparameter as torch spells it."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s, races=request.app.state.races)
    found = recommendation_of(shown)
    if found.optimizer is None:
        raise NoRecommendation(
            f"job {uid} recommends nothing: every config diverged on a fresh seed", field="verdict"
        )
    body = {"name": shown.spec.optimizer(found.optimizer).name, "config": found.config}
    return Response(
        json.dumps(body, indent=2) + "\n",
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="whichopt-{uid}-config.json"'},
    )
