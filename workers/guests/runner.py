"""The work of a runner: a process of its own that imports a function by its name, and runs one trial."""

from __future__ import annotations

from typing import Any

from whichopt.service.errors import WhichoptError
from whichopt.workers.guests.pipe import Sender
from whichopt.workers.guests.request import Request
from whichopt.workers.guests.source import source_in_a_script
from whichopt.workers.guests.target import load
from whichopt.workers.guests.trial import described, perform


def run(told: dict[str, Any], send: Sender) -> int:
    """Import the function, run the trial, and tell the parent all of it; return the exit status."""
    request = Request.model_validate(told)
    try:
        function, source = load(request.name, allow=request.allow, arguments=request.arguments)
    except WhichoptError as error:
        send({"fault": {"code": error.code, "detail": error.detail}})
        return 1
    except Exception as error:  # noqa: BLE001 -- the person's module raised it
        send({"raised": {**described(error), "nonfinite": False}})
        return 1
    send({"source": source.sha256})
    if request.source not in (None, source.sha256):
        detail = (
            f"its source here has the hash {source.sha256}, but the one that was rehearsed has "
            f"{request.source}: bring all workers to one version, or send a new job"
        )
        send({"fault": {"code": "function_changed", "detail": detail}})
        return 1
    if request.plan is None:
        send({"in_a_script": source_in_a_script(function).sha256})
    else:
        perform(request.guest, function, request.plan, send, kept=request.kept)
    return 0
