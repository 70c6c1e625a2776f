"""Plans a job that is not submitted, for the REST API: reads the past, trains and stores nothing."""

from __future__ import annotations

import threading

from whichopt.service.db import Store
from whichopt.service.errors import Unavailable
from whichopt.service.evidence.power.plan import plan_of
from whichopt.service.jobs import queue_of
from whichopt.service.past import PastJobs
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import JobPlan

WAIT_S = 20.0
"""Seconds that a request waits for others' simulations; it holds one of the 40 threads of all routes."""

MOST_AT_ONCE = 8
"""Requests that are computed or wait at one time: more would leave no thread for health checks and jobs."""

_PLACES = threading.BoundedSemaphore(MOST_AT_ONCE)

BUSY = "other plans are being computed; ask again in a moment"

_SIMULATING = threading.Lock()
"""One simulation at a time: each takes a second or two of one core, and some memory."""


def plan(store: Store, spec: ResolvedSpec, *, alive_s: float) -> JobPlan:
    """Return the time, the cost and the chances of a job.

    Args:
        alive_s: how recently, in seconds, a worker must have been seen to count.

    Raises:
        Unavailable: others' plans take too long, or are too many; asking again will do.
    """
    with store.read() as tx:
        queue = queue_of(tx, spec, alive_s)
        past = tx.past.of(spec, queue=queue)
        processes = tx.workers.processes(queue, within_s=alive_s)
    if not _PLACES.acquire(blocking=False):
        raise Unavailable(BUSY)
    try:
        return _in_turn(spec, past, processes)
    finally:
        _PLACES.release()


def _in_turn(spec: ResolvedSpec, past: PastJobs, processes: int) -> JobPlan:
    if not _SIMULATING.acquire(timeout=WAIT_S):
        raise Unavailable(BUSY)
    try:
        return plan_of(spec, past, processes=processes)
    finally:
        _SIMULATING.release()
