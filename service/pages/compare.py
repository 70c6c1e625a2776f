"""The page at `/compare`: two to four jobs side by side."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from whichopt.service.db import Transaction
from whichopt.service.errors import UnreadableRow
from whichopt.service.pages.comparison import FEWEST, MOST, Side, comparison
from whichopt.service.pages.frame import page as page_of
from whichopt.service.routes.dependencies import TheSettings, TheStore

router = APIRouter(include_in_schema=False)


@router.get("/compare", response_class=HTMLResponse)
def page(
    request: Request,
    store: TheStore,
    settings: TheSettings,
    job: Annotated[list[str] | None, Query(description="Id of a job; two to four of them.")] = None,
) -> HTMLResponse:
    """Compare jobs; what keeps them from being compared is said on a page of its own."""
    uids = list(dict.fromkeys(uid.strip() for uid in job or ()))
    if not FEWEST <= len(uids) <= MOST:
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


def _count_words(count: int) -> str:
    if count > MOST:
        return f"{count} jobs are too many to compare; {MOST} are the most."
    return "Nothing is selected." if count == 0 else "One job alone cannot be compared."


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
