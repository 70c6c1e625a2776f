"""The evidence: a job's report as one page, or as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response

from service.errors import NoRecommendation
from service.evidence.report import Report, evidence
from service.routes.jobs import JobUid, no_job
from service.routes.parts import TheStore

router = APIRouter(prefix="/v1", tags=["results"])

HTML, JSON = "text/html", "application/json"
HEADERS = {
    # Its styles and figures are in the page itself; nothing else is loaded, and nothing runs.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept",
}


@router.get(
    "/jobs/{job_id}/report",
    response_class=Response,
    responses={
        200: {
            "description": "The report: a page that needs nothing else, or JSON.",
            "content": {HTML: {"schema": {"type": "string"}}},
            "model": Report,
        }
    },
)
def report(
    uid: JobUid,
    store: TheStore,
    wanted: Annotated[
        Literal["html", "json"] | None,
        Query(alias="format", description="Without it, as `Accept` says; a page where that says nothing."),
    ] = None,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """The evidence behind the job's recommendation; 409 with the job's state until there is one."""
    with store.read() as tx:
        found = tx.records.of_job(uid)
    if found is None:
        raise no_job(uid)
    if found.recommendation is None:
        never = "it will have none" if found.state.ended else "it has none yet"
        raise NoRecommendation(f"job {uid} is {found.state}: {never}", field="state", value=found.state.value)
    made = evidence(found.facts, found.spec, found.trials, found.recommendation, found.environments)
    if (wanted or _preferred(accept or "")) == "json":
        return Response(made.model_dump_json(), media_type=JSON, headers=_named(made, "attachment", "json"))
    from service.evidence.page import page  # draws with matplotlib

    return Response(page(made), media_type=HTML, headers=_named(made, "inline", "html"))


def _named(made: Report, disposition: str, ending: str) -> dict[str, str]:
    name = f"whichopt-{made.job.id}.{ending}"
    return {**HEADERS, "Content-Disposition": f'{disposition}; filename="{name}"'}


def _preferred(accept: str) -> Literal["html", "json"]:
    """JSON where `Accept` puts it above HTML (RFC 9110, 12.5.1)."""
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        try:
            weights[kind] = float(weight)
        except ValueError:
            weights[kind] = 0.0

    def liked(kind: str) -> float:
        general = weights.get("*/*", 0.0)
        return weights.get(kind, weights.get(f"{kind.partition('/')[0]}/*", general))

    return "json" if liked(JSON) > liked(HTML) else "html"
