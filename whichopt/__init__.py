"""Finds the optimizer and the hyperparameters that suit a model and its data, and says how sure that is.

The names of this package are loaded on first use, so that `import whichopt` costs nothing and no torch is
loaded for a client:

    from whichopt import Client, JobSpec

    with Client("http://127.0.0.1:8000", key) as client:
        job = client.submit(JobSpec.model_validate(request))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whichopt.service.client import Client
    from whichopt.service.evidence.report.files import read_report
    from whichopt.service.evidence.report.verify import verify
    from whichopt.service.spec import JobSpec
    from whichopt.service.views import Recommendation

__all__ = ["Client", "JobSpec", "Recommendation", "read_report", "verify"]

_HOMES = {
    "Client": "whichopt.service.client",
    "JobSpec": "whichopt.service.spec",
    "Recommendation": "whichopt.service.views",
    "read_report": "whichopt.service.evidence.report.files",
    "verify": "whichopt.service.evidence.report.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'whichopt' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
