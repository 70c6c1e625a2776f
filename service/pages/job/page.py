"""The page of one job at `/jobs/{id}`: a race in three acts, which moves by itself while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from whichopt.service.errors import NotFound, UnreadableRow
from whichopt.service.jobs import no_job
from whichopt.service.pages.frame import page as page_of
from whichopt.service.pages.job.drawing import drawing
from whichopt.service.pages.job.live import STAMP, Drawing, Live, Stamp, stamp_of
from whichopt.service.pages.job.scene import Act, scene
from whichopt.service.pages.job.watch import Watch
from whichopt.service.routes.dependencies import TheSettings

router = APIRouter(include_in_schema=False)

TheAct = Annotated[
    Act | None, Query(description="Act to show; the one that the job has reached if not given.")
]


@router.get("/jobs/{job_id}", response_class=HTMLResponse)
def page(request: Request, job_id: str, act: TheAct = None) -> HTMLResponse:
    """Show a job in the act that it has reached, or in an earlier one."""
    try:
        watch = watch_of(request, uid_of(job_id), act)
        live: Live = watch.read()
    except NotFound:
        return page_of(request, "job/missing.html", title="No such job", status=404, asked=job_id)
    except UnreadableRow as error:
        problem = error.detail
        return page_of(
            request, "job/unreadable.html", title="Unreadable job", status=error.status, problem=problem
        )
    shown = live.drawing
    return page_of(
        request,
        "job/page.html",
        title=shown.title,
        current="Jobs",
        body=shown.body,
        uid=watch.uid,
        act=act,
        stamp=None if shown.ended else live.stamp,
    )


async def _followed(
    request: Request,
    job_id: str,
    act: TheAct = None,
    since: Annotated[str | None, Query(pattern=STAMP, description="State that the page shows.")] = None,
    last_event_id: Annotated[str | None, Header(description="State that the page has moved on to.")] = None,
) -> tuple[Watch, Stamp | None]:
    watch = watch_of(request, uid_of(job_id), act)
    return watch, stamp_of(last_event_id or since or "")


@router.get("/jobs/{job_id}/live", response_class=EventSourceResponse)
async def live(
    followed: Annotated[tuple[Watch, Stamp | None], Depends(_followed)], settings: TheSettings
) -> AsyncIterable[ServerSentEvent]:
    """Send the parts of a job's page that have changed, until the job has ended."""
    watch, known = followed
    async for news in watch.follow(known, every_s=2 * settings.events_s):
        if news.html:
            yield ServerSentEvent(id=str(news.stamp), raw_data=news.html)
        if news.ended:
            yield ServerSentEvent(event="ended", raw_data=str(news.stamp))


def watch_of(request: Request, uid: str, act: Act | None) -> Watch:
    """Return the watch of a job's page, which all who look at that act share.

    Raises:
        NotFound: there is no such job.
    """
    state, base = request.app.state, str(request.scope["root_path"])
    store, alive_s = state.store, state.settings.worker_alive_s

    def make() -> Watch:
        with store.read() as tx:
            if tx.jobs.id_of(uid) is None:
                raise no_job(uid)
        memory: dict[str, Any] = {}

        def draw() -> Drawing:
            return drawing(
                scene(store, uid, alive_s=alive_s, act=act, races=state.races, memory=memory), base
            )

        return Watch(store, uid, draw, alive_s=alive_s)

    watch: Watch = state.watches.of((uid, act or "", base), make)
    return watch


def uid_of(job_id: str) -> str:
    """Return the id as we write it; one that is none stays as it is, and no job has it."""
    try:
        return str(UUID(job_id))
    except ValueError:
        return job_id
