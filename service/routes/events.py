"""Sends the changes of a job as server-sent events.

`trial` events carry the trials that have changed, and the `job` event after them the job; its id is the
job's revision, from which a broken stream resumes (`Last-Event-ID`). A trial may come twice, never too
seldom. The `job` event comes again with the same id if what the job waits for changes, and to who resumes. A
stream that ends by itself ends with the `job` event of a job that has ended.

Curves come only to who asks for them: they are most of what there is to read and to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Annotated, NamedTuple

import structlog
from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from whichopt.service.activity import JobActivity
from whichopt.service.db import DatabaseError, Store
from whichopt.service.failures import failure
from whichopt.service.jobs import linted, no_job
from whichopt.service.routes.dependencies import JobUid, TheSettings, TheStore
from whichopt.service.settings import Settings
from whichopt.service.views import JobView, Page, TrialView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

TRIALS_AT_ONCE = 100

log = structlog.get_logger()


class Watched(NamedTuple):
    uid: str
    job_id: int
    since: int
    curves: bool


def _watched(
    uid: JobUid,
    store: TheStore,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{1,9}$",
            description="Revision that the reader knows; only later changes are sent.",
        ),
    ] = None,
    curves: Annotated[
        bool, Query(description="True to send every trial with its curve so far; otherwise `curve` is null.")
    ] = False,
) -> Watched:
    with store.read() as tx:
        job_id, found = tx.jobs.id_of(uid), tx.jobs.revision(uid)
    if job_id is None or found is None:
        raise no_job(uid)
    since = int(last_event_id or 0)
    # A revision from the future is another job's, or a database's that was restored: begin again.
    return Watched(uid, job_id, since if since <= found[0] else 0, curves)


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def events(
    watched: Annotated[Watched, Depends(_watched)], store: TheStore, settings: TheSettings
) -> AsyncIterable[ServerSentEvent]:
    """Follow a job until it has ended."""
    since, activity = watched.since, None
    try:
        while True:
            job = await run_in_threadpool(_news, store, settings, watched.uid, since, activity)
            if job is not None:
                after: int | None = None
                while True:
                    page = await run_in_threadpool(_changed, store, watched, since, after)
                    for trial in page.items:
                        yield ServerSentEvent(event="trial", raw_data=trial.model_dump_json())
                    if page.cursor is None:
                        break
                    after = int(page.cursor)
                yield ServerSentEvent(event="job", id=str(job.revision), raw_data=job.model_dump_json())
                if job.state.ended:
                    return
                since, activity = job.revision, job.activity
            await asyncio.sleep(settings.events_s)
    except DatabaseError as error:
        # The answer has begun, so all that is left is to end it; the reader comes back with its last id.
        log.warning("events_broken", job=watched.uid, **failure(error))


def _news(
    store: Store, settings: Settings, uid: str, since: int, activity: JobActivity | None
) -> JobView | None:
    """The job, if it has moved since, waits for something else than `activity`, or has ended.

    It is read before its trials: what changes between the two is sent again with the next revision.
    """
    with store.read() as tx:
        revision_and_state = tx.jobs.revision(uid)
        if revision_and_state is None:
            return None
        moved = revision_and_state[0] != since or revision_and_state[1].ended
        if not moved and activity == tx.views.activity(uid, alive_s=settings.worker_alive_s):
            return None
        job = tx.views.job(uid, alive_s=settings.worker_alive_s)
        return None if job is None else linted(job)


def _changed(store: Store, watched: Watched, since: int, after: int | None) -> Page[TrialView]:
    with store.read() as tx:
        return tx.views.trials(
            watched.job_id, since_revision=since, after=after, limit=TRIALS_AT_ONCE, curves=watched.curves
        )
