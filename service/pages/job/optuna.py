"""The address `/jobs/{id}/optuna`, which leads to the job's own studies in the Optuna dashboard."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from whichopt.service.jobs import no_job
from whichopt.service.routes.dashboard import address
from whichopt.service.routes.dependencies import JobUid, TheStore

router = APIRouter(include_in_schema=False)


@router.get("/jobs/{job_id}/optuna")
def studies(uid: JobUid, request: Request, store: TheStore) -> RedirectResponse:
    with store.read() as tx:
        ids = tx.studies.ids(uid)
        known = bool(ids) or tx.jobs.id_of(uid) is not None
    if not known:
        raise no_job(uid)
    return RedirectResponse(f"{request.scope['root_path']}{address(ids)}", 307)
