"""Serves the results: recommendations, forecasts, and the studies for Optuna."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from whichopt.service import plugins
from whichopt.service.catalog import tasks
from whichopt.service.datasets import known_name
from whichopt.service.errors import NoRecommendation
from whichopt.service.forecasting import job_forecast
from whichopt.service.jobs import job_id_of, no_job
from whichopt.service.routes.dependencies import Cursor, JobUid, TheSettings, TheStore
from whichopt.service.views import JobForecast, Page, Recommendation, SampleView

router = APIRouter(prefix="/v1", tags=["results"])

SQLITE = "application/vnd.sqlite3"
Name = Annotated[str | None, Query(max_length=64)]


@router.get("/jobs/{job_id}/recommendation")
def recommendation(uid: JobUid, store: TheStore) -> Recommendation:
    """Return the job's recommendation; 409 with the job's state until there is one."""
    with store.read() as tx:
        row = tx.views.recommendation(uid)
    if row is None:
        raise no_job(uid)
    state, concluded = row
    if concluded is None:
        raise NoRecommendation.of(uid, state)
    return concluded


@router.get("/jobs/{job_id}/forecast")
def forecast(uid: JobUid, store: TheStore) -> JobForecast:
    """Return the job's forecast: its progress, and the changes to expect from more trials or fresh seeds.

    The planner of a round stores what follows from the rounds before it. Until it has, the first who asks
    computes that, and the others wait.
    """
    return job_forecast(store, uid)


@router.get("/jobs/{job_id}/samples")
def samples(uid: JobUid, store: TheStore) -> Page[SampleView]:
    """List what the finalists' networks have made on the first fresh seed: text, points or images.

    There is one sample a finalist at most, and none of a task that makes nothing. Lists of trials leave them
    out.
    """
    with store.read() as tx:
        return Page(items=tx.samples.views(job_id_of(tx, uid)))


@router.get("/recommendations")
def recommendations(
    store: TheStore,
    settings: TheSettings,
    before: Cursor,
    task: Name = None,
    dataset: Name = None,
    model: Name = None,
    function: Annotated[
        str | None, Query(max_length=200, description="Name of a person's own training function.")
    ] = None,
    metric: Name = None,
    optimizer: Name = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[Recommendation]:
    """List the recommendations for workloads like this one, newest first."""
    alive_s = settings.worker_alive_s
    with store.read() as tx:
        return tx.views.recommendations(
            task=task and tasks.task(task, field="task").name,
            dataset=dataset and known_name(tx, dataset, field="dataset"),
            model=model and plugins.known_name(tx, "model", model, within_s=alive_s),
            function=function,
            metric=metric,
            optimizer=optimizer and plugins.known_name(tx, "optimizer", optimizer, within_s=alive_s),
            before=before,
            limit=limit,
        )


@router.get(
    "/jobs/{job_id}/studies.db",
    response_class=StreamingResponse,
    responses={200: {"content": {SQLITE: {}}, "description": "An SQLite file for `optuna.load_study`."}},
)
def studies(uid: JobUid, store: TheStore) -> StreamingResponse:
    """The job's studies as real Optuna studies."""
    with store.read() as tx:
        job_id_of(tx, uid)
    from whichopt.service.export import export  # Optuna takes half a second to import

    folder = Path(tempfile.mkdtemp(prefix="whichopt-export-"))
    try:
        export(store, uid, folder / "studies.db")
        size = (folder / "studies.db").stat().st_size
        file = (folder / "studies.db").open("rb")
    finally:
        # The open file stays readable, and nothing is left behind however the download ends.
        shutil.rmtree(folder)
    headers = {"Content-Disposition": f'attachment; filename="{uid}.db"', "Content-Length": str(size)}
    return StreamingResponse(_pieces(file), media_type=SQLITE, headers=headers)


def _pieces(file: BinaryIO, size: int = 1 << 16) -> Iterator[bytes]:
    with file:
        while piece := file.read(size):
            yield piece
