"""Jobs: submitted, listed, shown, cancelled; and their trials."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request, Response

from whichopt.service.db import IntegrityError, Transaction
from whichopt.service.errors import JobEnded, KeyReused, NotFound
from whichopt.service.ids import PART
from whichopt.service.routes.body import json_only
from whichopt.service.routes.negotiation import matches
from whichopt.service.routes.parts import ApiKeyId, TheDispatcher, TheSettings, TheStore
from whichopt.service.settings import Settings
from whichopt.service.spec import LABEL, JobSpec, ResolvedSpec, resolve
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.views import JobView, Page, TrialView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

POLL_AFTER_S = 2
PRINTABLE_ASCII = r"^[\x20-\x7e]{1,255}$"


async def _job_uid(
    job_id: Annotated[str, Path(description="The job's id.", examples=[str(UUID(int=0))])],
) -> str:
    try:
        uid = str(UUID(job_id))
    except ValueError:
        uid = ""
    if uid != job_id.lower():
        raise no_job(job_id)
    return uid


async def _cursor(
    cursor: Annotated[
        str | None, Query(pattern=r"^[1-9][0-9]{0,8}$", description="Of the page before, as it was given.")
    ] = None,
) -> int | None:
    return None if cursor is None else int(cursor)


JobUid = Annotated[str, Depends(_job_uid)]
Cursor = Annotated[int | None, Depends(_cursor)]


def no_job(uid: str) -> NotFound:
    return NotFound(f"no job {uid!r}", field="job_id", value=uid)


def job_id_of(tx: Transaction, uid: str) -> int:
    found = tx.jobs.id_of(uid)
    if found is None:
        raise no_job(uid)
    return found


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
            pattern=PRINTABLE_ASCII, description="Makes a repeated request answer with the first one's job."
        ),
    ] = None,
) -> JobView:
    """Submit a job. It is trained when workers are free; ask its `Location`, or follow its events."""
    resolved = resolve(spec)
    try:
        with store.transaction() as tx:
            job, new_id = _remember(tx, resolved, settings, api_key_id, idempotency_key)
    except IntegrityError:
        # Two requests with one new idempotency key have met; the other one's job is there now.
        with store.transaction() as tx:
            job, new_id = _remember(tx, resolved, settings, api_key_id, idempotency_key)
    if new_id is not None:
        dispatcher.plan(new_id)
    response.headers["Location"] = f"{request.scope['root_path']}/v1/jobs/{job.id}"
    response.headers["Retry-After"] = str(POLL_AFTER_S)
    return job


def _remember(
    tx: Transaction,
    spec: ResolvedSpec,
    settings: Settings,
    api_key_id: int,
    idempotency_key: str | None,
) -> tuple[JobView, int | None]:
    """The job, and its id where it is new: with an idempotency key it may be there already."""
    body = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    digest = hashlib.sha256(body.encode()).hexdigest()
    earlier = tx.jobs.by_idempotency(api_key_id, idempotency_key) if idempotency_key is not None else None
    if earlier is not None:
        uid, earlier_digest = earlier
        if earlier_digest != digest:
            raise KeyReused(
                f"this Idempotency-Key made job {uid} from another spec; use a new key for a new job",
                field="Idempotency-Key",
                value=idempotency_key,
            )
        return _view(tx, uid, settings), None
    job_id, uid = tx.jobs.add(
        spec,
        queue=_queue(tx, spec, settings),
        api_key_id=api_key_id,
        idempotency_key=idempotency_key,
        body_digest=digest,
    )
    return _view(tx, uid, settings), job_id


def _queue(tx: Transaction, spec: ResolvedSpec, settings: Settings) -> str:
    """The kind of worker that trains the job; `auto` takes a GPU where one is there now."""
    if spec.device != "auto":
        return spec.device
    return "cuda" if tx.workers.live(settings.worker_alive_s).get("cuda") else "cpu"


def _view(tx: Transaction, uid: str, settings: Settings) -> JobView:
    job = tx.views.job(uid, alive_s=settings.worker_alive_s)
    if job is None:
        raise no_job(uid)
    return job


@router.get("")
def jobs(
    store: TheStore,
    settings: TheSettings,
    before: Cursor,
    state: JobState | None = None,
    uid_part: Annotated[
        str | None,
        Query(alias="id", pattern=f"^{PART}$", description="Only jobs whose id begins or ends with this."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[JobView]:
    """The jobs, newest first."""
    with store.read() as tx:
        return tx.views.jobs(
            state=state,
            uid_part=None if uid_part is None else uid_part.lower(),
            before=before,
            limit=limit,
            alive_s=settings.worker_alive_s,
        )


@router.get("/{job_id}", responses={304: {"description": "The job is as `If-None-Match` knows it."}})
def job(
    uid: JobUid,
    response: Response,
    store: TheStore,
    settings: TheSettings,
    if_none_match: Annotated[str | None, Header(description="The ETag of an earlier answer.")] = None,
) -> JobView:
    """One job."""
    with store.read() as tx:
        found = _view(tx, uid, settings)
    # What a job waits for depends on other jobs and on workers, which move no revision of it.
    etag = f'"{found.revision}{"" if found.activity is None else found.activity.tag}"'
    if matches(etag, if_none_match):
        raise HTTPException(304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return found


@router.post("/{job_id}/cancel", status_code=202)
def cancel(uid: JobUid, store: TheStore, settings: TheSettings) -> JobView:
    """Cancel a job: what is queued ends now, what trains ends within an epoch."""
    with store.transaction() as tx:
        ended = tx.jobs.cancel(job_id_of(tx, uid))
        if ended is not None:
            raise JobEnded(f"job {uid} has ended: it is {ended}", field="state", value=ended.value)
        return _view(tx, uid, settings)


@router.get("/{job_id}/trials")
def trials(
    uid: JobUid,
    store: TheStore,
    after: Cursor,
    optimizer: Annotated[str | None, Query(pattern=LABEL, description="Its label in the job.")] = None,
    phase: Phase | None = None,
    state: TrialState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[TrialView]:
    """The job's trials, in the order in which they were planned."""
    with store.read() as tx:
        job_id = job_id_of(tx, uid)
        return tx.views.trials(
            job_id, optimizer=optimizer, phase=phase, state=state, after=after, limit=limit
        )
