"""The page at `/`: the jobs with their answers, by state and by words; what runs is kept true in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from whichopt.service.db import Transaction
from whichopt.service.pages.frame import fragment, live_workers
from whichopt.service.pages.frame import page as page_of
from whichopt.service.pages.home.rows import Row, legend, row_of
from whichopt.service.planning.training_time import seconds_left
from whichopt.service.routes.dependencies import Cursor, TheSettings, TheStore
from whichopt.service.states import JobState
from whichopt.service.views import JobView, Page

router = APIRouter(include_in_schema=False)

JOBS_A_PAGE = 25
LONGEST_SEARCH = 200
LONGEST_ID = 64

UNCLEAR = ("tie", "nothing")


@dataclass(frozen=True)
class Tab:
    """A choice of jobs. One that is not `always` there is left out if there are no such jobs."""

    name: str
    title: str
    state: JobState | None = None
    verdicts: tuple[str, ...] = ()
    always: bool = True

    def holds(self, state: str, verdict: str | None) -> bool:
        """Tell if a job in that state and with that verdict is in it."""
        if self.verdicts:
            return verdict in self.verdicts
        return self.state is None or self.state == state


TABS = (
    Tab("all", "All"),
    Tab("running", "Running", JobState.RUNNING),
    Tab("queued", "Queued", JobState.QUEUED, always=False),
    Tab("winner", "Winner", verdicts=("winner",)),
    Tab("unclear", "No clear winner", verdicts=UNCLEAR),
    Tab("failed", "Failed", JobState.FAILED),
    Tab("cancelled", "Cancelled", JobState.CANCELLED, always=False),
)

Show = Annotated[str, Query(max_length=20)]
Words = Annotated[str, Query(alias="q", max_length=LONGEST_SEARCH)]
Shown = Annotated[list[str], Query(alias="job", max_length=JOBS_A_PAGE)]


@router.get("/", response_class=HTMLResponse)
def page(
    request: Request,
    store: TheStore,
    settings: TheSettings,
    before: Cursor,
    show: Show = "all",
    words: Words = "",
) -> HTMLResponse:
    """The list of the jobs; for a script that searches, only what changes with the words."""
    tab = _tab(show)
    words = " ".join(words.split())
    with store.read() as tx:
        found = tx.views.jobs(
            state=tab.state,
            verdicts=tab.verdicts,
            text=words,
            before=before,
            limit=JOBS_A_PAGE,
            alive_s=settings.worker_alive_s,
        )
        rows = _rows(tx, found)
        counts = tx.views.verdict_counts(words)
    values = {
        **_list_values(rows, tab, words, counts),
        "unreadable": found.unreadable,
        "older": None if found.cursor is None else _query(tab, words, cursor=found.cursor),
        "any": bool(counts) or bool(words),
        "first": before is None,
    }
    if request.headers.get("HX-Request"):
        answer = fragment(request, "home/found.html", **values)
        answer.headers["HX-Replace-Url"] = f"{request.scope['root_path']}/{_query(tab, words)}"
        return answer
    return page_of(request, "home/page.html", title="Jobs", current="Jobs", **values)


@router.get("/workers", response_class=HTMLResponse)
def workers(request: Request) -> HTMLResponse:
    """The training processes by now, for the bar of a page that stays open."""
    return fragment(request, "parts/workers.html", workers=live_workers(request))


@router.get("/rows", response_class=HTMLResponse)
def rows(
    request: Request,
    store: TheStore,
    settings: TheSettings,
    shown: Shown = [],  # noqa: B006
    show: Show = "all",
    words: Words = "",
) -> HTMLResponse:
    """The rows of these jobs by now, and the counts of the tabs: what a page asks for while they run."""
    with store.read() as tx:
        found = tx.views.these([uid[:LONGEST_ID] for uid in shown], alive_s=settings.worker_alive_s)
        values = _list_values(_rows(tx, found), _tab(show), words, tx.views.verdict_counts(words))
    return fragment(request, "home/moved.html", **values)


def _list_values(
    rows: list[Row], tab: Tab, words: str, counts: Mapping[tuple[str, str | None], int]
) -> dict[str, Any]:
    active = [row.id for row in rows if row.active]
    return {
        "rows": rows,
        "tabs": _tabs(tab, words, counts),
        "tab": tab,
        "words": words,
        "legend": legend(rows),
        "poll": _query(tab, words, job=active) if active else None,
    }


def _rows(tx: Transaction, found: Page[JobView]) -> list[Row]:
    return [row_of(job, left_s=_left(tx, job)) for job in found.items]


def _left(tx: Transaction, job: JobView) -> float | None:
    """The seconds that a running job should still take, by its stored forecast; None if nothing tells."""
    asked = tx.forecasts.asked(job.id) if job.state is JobState.RUNNING else None
    if asked is None or asked.stored is None or asked.elapsed_s is None or job.started_at is None:
        return None
    left = seconds_left(asked.spec, asked.stored, asked.phase, asked.used, asked.elapsed_s)
    since = (tx.now() - job.started_at).total_seconds() - asked.elapsed_s
    return None if left is None else left - since


def _tab(name: str) -> Tab:
    """The tab of that name; all jobs for a name that is none."""
    return next((tab for tab in TABS if tab.name == name), TABS[0])


def _tabs(current: Tab, words: str, counts: Mapping[tuple[str, str | None], int]) -> list[dict[str, Any]]:
    found = []
    for tab in TABS:
        count = sum(jobs for (state, verdict), jobs in counts.items() if tab.holds(state, verdict))
        if tab.always or count or tab is current:
            found.append(
                {
                    "title": tab.title,
                    "count": count,
                    "query": _query(tab, words),
                    "current": tab is current,
                    "live": tab.state is JobState.RUNNING and count > 0,
                }
            )
    return found


def _query(tab: Tab, words: str, **more: Any) -> str:
    """The query of an address of the list, with its question mark; without what is usual."""
    query = {"show": tab.name if tab is not TABS[0] else None, "q": words or None, **more}
    text = urlencode({name: value for name, value in query.items() if value}, doseq=True)
    return f"?{text}" if text else ""
