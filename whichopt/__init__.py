"""Finds the optimizer and the hyperparameters that suit a model and its data, and says how sure that is.

The names of this package are loaded on first use, so that `import whichopt` costs nothing and no torch is
loaded for a client:

    from whichopt import Client, JobSpec

    with Client("http://127.0.0.1:8000", key) as client:
        job = client.submit(JobSpec.model_validate(request))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from whichopt.service.client import Client
    from whichopt.service.evidence.report.files import read_report
    from whichopt.service.evidence.report.verify import verify
    from whichopt.service.spec import JobSpec
    from whichopt.service.views import Recommendation
    from whichopt.workers.guests.by_hand import run
    from whichopt.workers.tune import candidate, tune

__all__ = ["Client", "JobSpec", "Recommendation", "candidate", "read_report", "run", "tune", "verify"]

_HOMES = {
    "Client": "whichopt.service.client",
    "JobSpec": "whichopt.service.spec",
    "Recommendation": "whichopt.service.views",
    "candidate": "whichopt.workers.tune",
    "read_report": "whichopt.service.evidence.report.files",
    "run": "whichopt.workers.guests.by_hand",
    "tune": "whichopt.workers.tune",
    "verify": "whichopt.service.evidence.report.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'whichopt' has no attribute '{name}'")
    try:
        value = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from whichopt.service.extras import lacking

        extra: Literal["workers", "service"] = "workers" if ".workers." in _HOMES[name] else "service"
        problem = lacking(extra, f"whichopt.{name}")
        raise (error if problem is None else ImportError(problem)) from error
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
