"""Finds the optimizer and the hyperparameters that suit a model and its data, and says how sure that is.

The names of this package are loaded on first use, so that `import whichopt` costs nothing and no torch is
loaded for a client:

    from whichopt import Client, JobSpec

    with Client("http://127.0.0.1:8000", key) as client:
        job = client.submit(JobSpec.model_validate(request))
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

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

        problem = lacking("workers", f"whichopt.{name}, which trains,")
        if ".workers." not in _HOMES[name] or problem is None:
            raise
        return _lacking(problem, error)
    globals()[name] = value  # found at once from now on
    return value


def _lacking(problem: str, cause: ModuleNotFoundError) -> Callable[..., Any]:
    """Return what says at its call what to install: a client imports all names, and calls few."""

    def cannot(*_: Any, **__: Any) -> Any:
        raise ImportError(problem) from cause

    return cannot


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
