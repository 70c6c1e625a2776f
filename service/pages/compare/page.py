"""The page at `/compare`: two to four jobs side by side."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from whichopt.service.db import Transaction
from whichopt.service.errors import UnreadableRow
from whichopt.service.pages.compare.comparison import FEWEST, MOST, Side, comparison
from whichopt.service.pages.frame import page as page_of
from whichopt.service.routes.dependencies import TheSettings, TheStore
from whichopt.service.states import JobState

router = APIRouter(include_in_schema=False)

OFFERED = 20
"""Number of jobs that one job may be compared with by a click; more are found in the list of jobs."""


@router.get("/compare", response_class=HTMLResponse)
def page(
    request: Request,
    store: TheStore,
    settings: TheSettings,
    job: Annotated[list[str] | None, Query(description="Id of a job; two to four of them.")] = None,
) -> HTMLResponse:
    """Compare jobs; what keeps them from being compared is said on a page of its own."""
    uids = list(dict.fromkeys(uid.strip() for uid in job or ()))
    if not uids or len(uids) > MOST:
        return _problem(request, _count_words(len(uids)), 422 if uids else 200)
    strange = [uid for uid in uids if not _is_id(uid)]
    if strange:
        return _problem(request, f"“{strange[0][:80]}” is no id of a job.", 404)
    sides = []
    with store.read() as tx:
        for uid in uids:
            try:
                side = _side(tx, uid.lower(), settings.worker_alive_s)
            except UnreadableRow as error:
                return _problem(request, f"{error.detail}.", 409)
            if side is None:
                return _problem(request, f"There is no job {uid}.", 404)
            sides.append(side)
        if len(sides) < FEWEST:
            return _choice(request, tx, sides[0], settings.worker_alive_s)
    return page_of(
        request,
        "compare/page.html",
        title="Compare",
        current="Jobs",
        sides=sides,
        found=comparison(sides),
    )


def _side(tx: Transaction, uid: str, alive_s: float) -> Side | None:
    job, told = tx.views.job(uid, alive_s=alive_s), tx.views.recommendation(uid)
    return None if job is None or told is None else Side(job, told[1])


def _choice(request: Request, tx: Transaction, side: Side, alive_s: float) -> HTMLResponse:
    """Ask with which jobs that one is to be compared, those on the same data first."""
    found = tx.views.jobs(state=JobState.SUCCEEDED, before=None, limit=OFFERED + 1, alive_s=alive_s)
    others = [Side(job, None) for job in found.items if job.id != side.job.id][:OFFERED]
    same = side.job.spec.workload.short_title
    others.sort(key=lambda other: other.job.spec.workload.short_title != same)
    return page_of(
        request, "compare/choose.html", title="Compare", current="Jobs", side=side, others=others, most=MOST
    )


def _count_words(count: int) -> str:
    if count > MOST:
        return f"{count} jobs are too many to compare; {MOST} are the most."
    return "Nothing is selected."


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _problem(request: Request, problem: str, status: int) -> HTMLResponse:
    return page_of(
        request, "compare/problem.html", title="Compare", current="Jobs", status=status, problem=problem
    )
