"""Serves the linter, which finds common mistakes before a job is submitted."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from whichopt.service import functions
from whichopt.service.lint import lint as findings_of
from whichopt.service.routes.body import json_only
from whichopt.service.routes.dependencies import TheSettings, TheStore
from whichopt.service.spec import JobSpec
from whichopt.service.views import LintReport

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post("/lint", dependencies=[Depends(json_only)])
def lint(spec: JobSpec, store: TheStore, settings: TheSettings) -> LintReport:
    """Find common mistakes in a spec, without submitting it.

    An invalid spec is rejected as it would be if it were submitted.
    """
    return LintReport(findings=findings_of(functions.resolved(store, spec, settings)))
