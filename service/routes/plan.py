"""Serves the plan of a job: what it takes and what it can show, before anything is trained."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from whichopt.service import functions, plans
from whichopt.service.routes.body import json_only
from whichopt.service.routes.dependencies import TheSettings, TheStore
from whichopt.service.spec import JobSpec
from whichopt.service.views import JobPlan

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post("/plan", dependencies=[Depends(json_only)])
def plan(spec: JobSpec, store: TheStore, settings: TheSettings) -> JobPlan:
    """Tell what a job would take, cost and be able to show, without submitting it; nothing is trained.

    An invalid spec is rejected as it would be if it were submitted.
    """
    return plans.plan(store, functions.resolved(store, spec, settings), alive_s=settings.worker_alive_s)
