"""The learning curves of a job's best trials, read when somebody asks for them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from whichopt.service.figures.figure import Figure, Line, Metric, Point
from whichopt.service.figures.progress import learning_curves
from whichopt.service.pages.headers import HEADERS
from whichopt.service.pages.job.scene import Scene, scene
from whichopt.service.pages.job.search_lane import search_lanes
from whichopt.service.routes.dependencies import JobUid, TheSettings, TheStore

router = APIRouter(include_in_schema=False)

LINES = 24
"""Most curves of a figure: of few optimizers, the next best ones of each as well."""


@router.get("/jobs/{job_id}/figures/learning-curves")
def figure(request: Request, uid: JobUid, store: TheStore, settings: TheSettings) -> Response:
    """Return the figure's spec; 204 if there is no curve yet."""
    shown = scene(store, uid, alive_s=settings.worker_alive_s, races=request.app.state.races)
    found = curves(shown)
    return (
        Response(status_code=204, headers=HEADERS)
        if found is None
        else JSONResponse(found.spec, headers=HEADERS)
    )


def curves(shown: Scene) -> Figure | None:
    """Draw how the best trials of each optimizer have learned; None if none has ended yet."""
    spec = shown.spec
    each = max(1, min(3, LINES // len(spec.labels)))
    lanes = search_lanes(spec, shown.race, shown.tones, {})
    best = [
        (lane.label, place, trial.id)
        for lane in lanes
        for place, (trial, _) in enumerate(lane.ordered[:each])
    ]
    with shown.store.read() as tx:
        found = tx.races.curves([trial for _, _, trial in best], curve=spec.goal.curve)
    lines = [
        Line(
            label,
            # A point counts the examples that were seen: an epoch has as many as the training split.
            tuple(Point(point.examples / spec.sizes.train, point.value) for point in found[trial]),
            quiet=place > 0,
        )
        for label, place, trial in best
        if trial in found
    ]
    if not lines:
        return None
    return learning_curves(lines, Metric(spec.goal.metric, spec.goal.direction), shown.tones)
