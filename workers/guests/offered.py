"""The source of a named function, found by a process that imports it: no worker runs its module itself."""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence
from functools import cache

import structlog

from whichopt.service.errors import FunctionFailed, FunctionStuck, UnknownFunction
from whichopt.service.failures import failure
from whichopt.service.settings import Settings
from whichopt.workers.guests import child as children
from whichopt.workers.guests.account import error_of
from whichopt.workers.guests.by_hand import ANY
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.functions import Functions
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.pipe import Message
from whichopt.workers.guests.request import Request
from whichopt.workers.guests.scratch import scratch

log = structlog.get_logger()

ASK_S = 0.2
"""Seconds between two looks at whether a process that imports has ended."""


def source_of_named(guest: Guest, *, limit_s: float = 300.0) -> str:
    """Return the hash of the source of the function of that name, as a worker offers it.

    It raises what `sources_of_named` does.
    """
    return sources_of_named(guest, limit_s=limit_s)[0]


def sources_of_named(guest: Guest, *, limit_s: float = 300.0) -> tuple[str, str]:
    """Return the hashes of the source of the function of that name: by its file, and as a script has it.

    Args:
        guest: the function by its name, with the names that the operator allows.
        limit_s: seconds that its module may take to be imported.

    Raises:
        UnknownFunction: the name is not allowed, or there is no such function.
        FunctionFailed: its module raised, or took too long.
    """
    with scratch(None) as folder:
        log = folder / "import.log"
        request = Request.of(guest).model_dump(mode="json")
        child = children.spawned(guest.name, request, log, environment={})
        try:
            told = _told(child, time.monotonic() + limit_s)
        finally:
            is_late = child.receiver.is_open and not child.has_ended()
            children.end([child]) if is_late else child.bury()
        output = child.output()
    if fault := told.get("fault"):
        raise error_of(fault["code"], f"{guest.name}: {fault['detail']}", log=output)
    if raised := told.get("raised"):
        raise FunctionFailed(f"importing {guest.name} raised {raised['traceback'].rstrip()}", log=output)
    if "in_a_script" not in told:
        if is_late:
            raise FunctionStuck(f"importing {guest.name} took more than {limit_s:g} s", log=output)
        raise FunctionFailed(f"importing {guest.name} ended with exit status {child.status}", log=output)
    return told["source"], told["in_a_script"]


def functions_of_workers(settings: Settings, names: Sequence[str]) -> Functions:
    """Return what runs functions of these names on a worker: a clean process a trial, one at a time."""
    return Functions(_executor(settings.stuck_s), allow=tuple(names))


@cache
def _executor(stuck_s: float) -> GuestExecutor:
    """Return the executor of this process, which keeps what its trials are copies of."""
    return GuestExecutor(processes=1, isolation="spawn", stuck_s=stuck_s)


def offered(settings: Settings) -> dict[str, str]:
    """Return the source's hash of each function that the operator allows and that can be imported here."""
    found = {}
    for name in settings.allowed_functions:
        try:
            found[name] = source_of_named(Guest(name, ANY, allow=settings.allowed_functions))
        except (FunctionFailed, UnknownFunction) as error:
            log.warning("function_not_offered", function=name, **failure(error))
    return found


def _told(child: children.Child, until: float) -> Message:
    """Return all that the child tells before that time."""
    told: dict[str, object] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(child.receiver.descriptor, selectors.EVENT_READ)
        while child.receiver.is_open and time.monotonic() < until:
            ended = child.has_ended()  # what it has started may keep the pipe open
            selector.select(min(ASK_S, max(0.0, until - time.monotonic())))
            for message in child.receiver.read():
                told |= message
            if ended:
                break
    return told
