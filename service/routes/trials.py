"""Serves all trials of a job as one file: CSV for spreadsheets, JSON lines for programs.

It is sent as it is read, a part at a time, however many trials there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from whichopt.service.db import Store
from whichopt.service.jobs import no_job
from whichopt.service.routes.dependencies import JobUid, TheStore
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trial_rows import TrialRows, csv_text, json_lines

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

CSV, JSON_LINES = "text/csv; charset=utf-8", "application/jsonl"
AT_ONCE = 200


@router.get(
    "/{job_id}/trials.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "A line for each trial, after the header."}},
)
def trials_csv(uid: JobUid, store: TheStore) -> StreamingResponse:
    """All trials of the job as CSV: config and metrics in columns such as `config.lr` and `metrics.test.nll`.

    Curves are not in it.
    """
    job_id, spec = _job(store, uid)
    rows = TrialRows(spec)
    found = _rows(store, job_id, rows)
    # What a person's own function reports besides its goal is known only from what was reported.
    others = _metrics(_rows(store, job_id, rows)) if spec.guest is not None else ()
    return _file(csv_text(rows.columns(others), found), CSV, f"trials-{uid}.csv")


@router.get(
    "/{job_id}/trials.jsonl",
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: {}}, "description": "An object for each trial, on its line."}},
)
def trials_jsonl(
    uid: JobUid,
    store: TheStore,
    curves: Annotated[
        bool,
        Query(description="True to have each trial's `curve`: its points (step, examples, value)."),
    ] = False,
) -> StreamingResponse:
    """All trials of the job as JSON lines, with the names of the CSV file's columns.

    A trial has only those that it has a value for.
    """
    job_id, spec = _job(store, uid)
    found = _rows(store, job_id, TrialRows(spec), curves=curves)
    return _file(json_lines(found), JSON_LINES, f"trials-{uid}.jsonl")


def _job(store: Store, uid: str) -> tuple[int, ResolvedSpec]:
    with store.read() as tx:
        found = tx.studies.job(uid)
    if found is None:
        raise no_job(uid)
    return found


def _rows(store: Store, job_id: int, rows: TrialRows, *, curves: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the rows in the order in which the trials were planned; each part is read on its own."""
    after: int | None = None
    while True:
        with store.read() as tx:
            page = tx.views.trials(job_id, after=after, limit=AT_ONCE, curves=curves)
        for trial in page.items:
            yield {**rows.row(trial), **({"curve": trial.curve} if curves else {})}
        yield from map(rows.row, page.unreadable)
        if page.cursor is None:
            return
        after = int(page.cursor)


def _metrics(found: Iterable[dict[str, Any]]) -> list[str]:
    return [*dict.fromkeys(name for row in found for name in row if name.startswith("metrics."))]


def _file(text: Iterator[str], media_type: str, name: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(text, media_type=media_type, headers=headers)
