"""Finds what nobody works on, and rings again. Idempotent: any number may run, in API and workers."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from whichopt.service import blobs
from whichopt.service.clocks import Clocks
from whichopt.service.db import Store
from whichopt.service.dispatch import PLAN_QUEUE, Dispatcher, of_functions
from whichopt.service.settings import Settings
from whichopt.service.steady import Steady
from whichopt.service.views.datasets import STOPPED

COLLECT_S = 600.0
"""Seconds between two searches for blobs that no row refers to; these are removed after an hour."""

ORPHAN_S = 3600.0

REPORT_PATIENCE = 15
"""A report is waited for this many times as long as any other answer to a doorbell: a large one takes a
minute to draw."""

log = structlog.get_logger()


def sweep(store: Store, dispatcher: Dispatcher, settings: Settings, clocks: Clocks | None = None) -> None:
    """One look at everything: leases that ran out, doorbells unanswered, jobs and reports that wait.

    `clocks` are those of a reaper that has swept before.
    """
    now = (clocks or Clocks(settings)).read(store)
    with store.read() as tx:
        expired = tx.lost.expired(now)
    for cohort_id, job_id in expired:
        with store.transaction() as tx:
            again = tx.lost.take_back(
                cohort_id,
                job_id,
                attempts=settings.attempts,
                alive_s=settings.worker_alive_s,
                as_of=now,
            )
        log.warning("lease_ran_out", cohort=cohort_id, job=job_id, queued_again=again)
    with store.transaction() as tx:
        tx.workers.bury(older_than_s=20 * settings.worker_alive_s)
        abandoned = tx.datasets.abandon(settings.lease_s, STOPPED)
        tx.datasets.expire()
    if abandoned:
        log.warning("datasets_abandoned", count=abandoned)
    with store.read() as tx:
        live = tx.workers.live(settings.worker_alive_s)
        queued = {
            (queue, functions): tx.cohorts.queued(queue, functions=functions)
            for queue in live
            for functions in (False, True)
        }
    for (queue, functions), count in queued.items():
        places = [queue, of_functions(queue)] if functions else [queue]
        if not count or not _lost(_waiting(dispatcher, places), expected=count):
            continue
        with store.transaction() as tx:
            unanswered = tx.cohorts.unanswered(queue, settings.ring_again_s, functions=functions)
        dispatcher.cohorts(unanswered, queue)
    if live and _lost(dispatcher.waiting(PLAN_QUEUE), expected=1):
        with store.transaction() as tx:
            stalled = tx.lost.stalled(settings.ring_again_s)
            owed = tx.reports.owed(REPORT_PATIENCE * settings.ring_again_s)
        for job_id in stalled:
            dispatcher.plan(job_id)
        for job_id in owed:
            dispatcher.report(job_id)


def _waiting(dispatcher: Dispatcher, queues: Sequence[str]) -> int | None:
    """Return the number of doorbells in those queues; None if the broker does not answer."""
    counts = [dispatcher.waiting(queue) for queue in queues]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _lost(waiting: int | None, *, expected: int) -> bool:
    """Tell if doorbells are missing from a queue; ringing again only adds to those that are still there."""
    return waiting is not None and waiting < expected


def collect(store: Store, settings: Settings) -> None:
    """Remove the blobs that no row refers to."""
    with store.read() as tx:
        keep = tx.blobs.referenced()
    removed = blobs.collect(settings.blobs, keep, older_than_s=ORPHAN_S)
    if removed:
        log.info("blobs_removed", count=removed)


class Reaper(Steady):
    """Sweeps every `settings.reap_s` until stopped. Whatever a sweep raises, the next finds the same work."""

    def __init__(self, store: Store, dispatcher: Dispatcher, settings: Settings) -> None:
        super().__init__("reaper", settings.reap_s)
        self.store = store
        self.dispatcher = dispatcher
        self.settings = settings
        self.clocks = Clocks(settings)
        self._collected_at = time.monotonic()

    def step(self) -> None:
        sweep(self.store, self.dispatcher, self.settings, self.clocks)
        if time.monotonic() - self._collected_at > COLLECT_S:
            self._collected_at = time.monotonic()  # before: what fails is not tried again at each sweep
            collect(self.store, self.settings)
