"""Serves the evidence: a job's report as one page, or as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response

from whichopt.service import reporting
from whichopt.service.db import Store
from whichopt.service.db.reports import ReportRow
from whichopt.service.errors import NoRecommendation
from whichopt.service.evidence.report.beside import beside_name
from whichopt.service.evidence.report.document import Report
from whichopt.service.jobs import no_job
from whichopt.service.routes.dependencies import JobUid, TheSettings, TheStore
from whichopt.service.routes.negotiation import accepts_gzip, matches, preferred

router = APIRouter(prefix="/v1", tags=["results"])

HTML, JSON, BYTES = "text/html", "application/json", "application/octet-stream"
HEADERS = {
    # Its styles, figures and pictures are in the page itself; nothing else is loaded, and nothing runs.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Accept-Encoding",
}


@router.get(
    "/jobs/{job_id}/report",
    response_class=Response,
    responses={
        200: {
            "description": "The report: an HTML page that needs no other files, or JSON.",
            "content": {HTML: {"schema": {"type": "string"}}},
            "model": Report,
        },
        304: {"description": "The report has not changed since `If-None-Match`."},
    },
)
def report(
    uid: JobUid,
    store: TheStore,
    settings: TheSettings,
    wanted: Annotated[
        Literal["html", "json"] | None,
        Query(
            alias="format",
            description="Form of the report; if omitted, `Accept` decides, and without that it is a page.",
        ),
    ] = None,
    accept: Annotated[str | None, Header()] = None,
    accept_encoding: Annotated[str | None, Header(include_in_schema=False)] = None,
    if_none_match: Annotated[str | None, Header(description="The ETag of an earlier answer.")] = None,
) -> Response:
    """Return the evidence behind the job's recommendation; 409 with the job's state until there is one.

    A worker makes it when the job has concluded. If it is asked for before that, it is made at once, which
    takes some seconds, and up to a minute for a job of thousands of trials.
    """
    row = _concluded(store, uid)
    form: reporting.Form = wanted or ("json" if preferred(accept, (HTML, JSON)) == JSON else "html")
    packed = accepts_gzip(accept_encoding)
    name = reporting.kept_name(row, form)
    if name is not None and matches(_etag(name, packed=packed), if_none_match):
        return _unchanged(name, packed=packed)
    file = reporting.find_or_make(store, settings.blobs, uid, form, row)
    etag = _etag(file.name, packed=packed)
    if matches(etag, if_none_match):
        return _unchanged(file.name, packed=packed)
    body = file.content if packed else file.unpacked()
    name, kind = f"whichopt-{uid}.{form}", JSON if form == "json" else HTML
    return _answered(body, etag, "attachment" if form == "json" else "inline", name, kind, packed)


@router.get(
    "/jobs/{job_id}/report/examples",
    response_class=Response,
    responses={
        200: {
            "description": "The file: float32, little-endian, run by run as the report's `examples` says.",
            "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}},
        },
        204: {"description": "There is no file, as the report's JSON has all."},
    },
)
def report_examples(
    uid: JobUid,
    store: TheStore,
    settings: TheSettings,
    accept_encoding: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Return the file beside the report: the values by example that are too many for its JSON.

    `whichopt verify` finds it in the report's folder, under the name that the report says; 409 with the job's
    state until there is a report.
    """
    file = reporting.find_examples(store, settings.blobs, uid, _concluded(store, uid))
    if file is None:
        return Response(status_code=204, headers=HEADERS)
    packed = accepts_gzip(accept_encoding)
    body = file.content if packed else file.unpacked()
    etag = _etag(file.name, packed=packed)
    return _answered(body, etag, "attachment", beside_name(uid), BYTES, packed)


def _answered(body: bytes, etag: str, disposition: str, name: str, media_type: str, packed: bool) -> Response:
    headers = {
        **HEADERS,
        **({"Content-Encoding": "gzip"} if packed else {}),
        "ETag": etag,
        "Content-Length": str(len(body)),
        "Content-Disposition": f'{disposition}; filename="{name}"',
    }
    return Response(body, media_type=media_type, headers=headers)


def _concluded(store: Store, uid: str) -> ReportRow:
    with store.read() as tx:
        row = tx.reports.of_job(uid)
    if row is None:
        raise no_job(uid)
    if not row.concluded:
        raise NoRecommendation.of(uid, row.state)
    return row


def _etag(name: str, *, packed: bool) -> str:
    """Return the strong ETag: another one for each form, as the blobs differ, and for each encoding."""
    return f'"{name[:32]}{"-gzip" if packed else ""}"'


def _unchanged(name: str, *, packed: bool) -> Response:
    return Response(status_code=304, headers={**HEADERS, "ETag": _etag(name, packed=packed)})
