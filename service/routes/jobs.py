"""Submits, lists, shows, cancels and concludes jobs, and lists their trials."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from whichopt.service import functions
from whichopt.service import jobs as work
from whichopt.service.datasets import known_name
from whichopt.service.ids import PART
from whichopt.service.routes.body import json_only
from whichopt.service.routes.dependencies import (
    ApiKeyId,
    Cursor,
    JobUid,
    TheDispatcher,
    TheSettings,
    TheStore,
)
from whichopt.service.routes.negotiation import matches
from whichopt.service.spec import LABEL, JobSpec
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.views import JobView, Page, TrialView
from whichopt.service.views.verdict import Verdict

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

POLL_AFTER_S = 2
LONGEST_SEARCH = 200
PRINTABLE_ASCII = r"^[\x20-\x7e]{1,255}$"


@router.post("", status_code=202, dependencies=[Depends(json_only)])
def submit(
    spec: JobSpec,
    request: Request,
    response: Response,
    store: TheStore,
    dispatcher: TheDispatcher,
    settings: TheSettings,
    api_key_id: ApiKeyId,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=PRINTABLE_ASCII,
            description="Key that makes a repeated request answer with the job of the first one.",
        ),
    ] = None,
) -> JobView:
    """Submit a job. It trains when workers are free; poll its `Location`, or follow its events."""
    job = work.submit(
        store,
        dispatcher,
        functions.resolved(store, spec, settings),
        alive_s=settings.worker_alive_s,
        api_key_id=api_key_id,
        idempotency_key=idempotency_key,
    )
    response.headers["Location"] = f"{request.scope['root_path']}/v1/jobs/{job.id}"
    response.headers["Retry-After"] = str(POLL_AFTER_S)
    return job


@router.get("")
def jobs(
    store: TheStore,
    settings: TheSettings,
    before: Cursor,
    state: JobState | None = None,
    uid_part: Annotated[
        str | None,
        Query(
            alias="id", pattern=f"^{PART}$", description="Beginning or end of the ids of the jobs to list."
        ),
    ] = None,
    dataset: Annotated[
        str | None, Query(max_length=64, description="Name of the dataset of the jobs to list.")
    ] = None,
    verdict: Annotated[Verdict | None, Query(description="Verdict of the jobs to list.")] = None,
    text: Annotated[
        str | None,
        Query(
            alias="q",
            max_length=LONGEST_SEARCH,
            description="Words that occur in the name, dataset, model, function or optimizers of the jobs to "
            "list.",
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[JobView]:
    """List the jobs, newest first."""
    with store.read() as tx:
        page = tx.views.jobs(
            state=state,
            verdicts=() if verdict is None else (verdict,),
            text=text,
            dataset=None if dataset is None else known_name(tx, dataset, field="dataset"),
            uid_part=None if uid_part is None else uid_part.lower(),
            before=before,
            limit=limit,
            alive_s=settings.worker_alive_s,
        )
    return page.model_copy(update={"items": list(map(work.linted, page.items))})


@router.get("/{job_id}", responses={304: {"description": "The job has not changed since `If-None-Match`."}})
def job(
    uid: JobUid,
    response: Response,
    store: TheStore,
    settings: TheSettings,
    if_none_match: Annotated[str | None, Header(description="The ETag of an earlier answer.")] = None,
) -> JobView:
    """Return one job."""
    with store.read() as tx:
        view = work.view(tx, uid, alive_s=settings.worker_alive_s)
    # What a job waits for depends on other jobs and on workers, which move no revision of it.
    etag = f'"{view.revision}{"" if view.activity is None else view.activity.tag}"'
    if matches(etag, if_none_match):
        raise HTTPException(304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return view


@router.post("/{job_id}/cancel", status_code=202)
def cancel(uid: JobUid, store: TheStore, settings: TheSettings) -> JobView:
    """Cancel a job: queued cohorts end now, and running ones end within an epoch."""
    return work.cancel(store, uid, alive_s=settings.worker_alive_s)


@router.post("/{job_id}/conclude", status_code=202)
def conclude(uid: JobUid, store: TheStore, dispatcher: TheDispatcher, settings: TheSettings) -> JobView:
    """End confirm at the last look that is done: the job concludes from the fresh seeds that it has.

    What waits is cancelled now, and what trains within an epoch; results of an unfinished stage do not count.
    """
    return work.conclude(store, dispatcher, uid, alive_s=settings.worker_alive_s)


@router.post("/{job_id}/resume", status_code=202)
def resume(uid: JobUid, store: TheStore, dispatcher: TheDispatcher, settings: TheSettings) -> JobView:
    """Let a job go on that failed because workers or their storage did; what it has done is kept."""
    return work.resume(store, dispatcher, uid, alive_s=settings.worker_alive_s)


@router.get("/{job_id}/trials")
def trials(
    uid: JobUid,
    store: TheStore,
    after: Cursor,
    optimizer: Annotated[
        str | None, Query(pattern=LABEL, description="Label of the optimizer in the job.")
    ] = None,
    phase: Phase | None = None,
    state: TrialState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[TrialView]:
    """List the job's trials, in the order in which they were planned."""
    with store.read() as tx:
        job_id = work.job_id_of(tx, uid)
        return tx.views.trials(
            job_id, optimizer=optimizer, phase=phase, state=state, after=after, limit=limit
        )
