"""Finds what nobody works on, and rings again. Idempotent: any number may run, in API and workers."""

from __future__ import annotations

import threading

import sqlalchemy as sa
import structlog

from service.db import Store
from service.dispatch import Dispatcher
from service.settings import Settings

log = structlog.get_logger()


def sweep(store: Store, dispatcher: Dispatcher, settings: Settings) -> None:
    """One look at everything: leases that ran out, doorbells unanswered, jobs that stand still."""
    with store.read() as tx:
        expired = tx.cohorts.expired()
    for cohort_id, job_id in expired:
        with store.transaction() as tx:
            again = tx.cohorts.take_back(cohort_id, job_id, attempts=settings.attempts)
        log.warning("lease_ran_out", cohort=cohort_id, job=job_id, queued_again=again)
    with store.transaction() as tx:
        unanswered = tx.cohorts.unanswered(settings.ring_again_s)
        stalled = tx.jobs.stalled(settings.ring_again_s)
        tx.workers.bury(older_than_s=20 * settings.worker_alive_s)
    for cohort_id, queue in unanswered:
        dispatcher.cohorts([cohort_id], queue)
    for job_id in stalled:
        dispatcher.plan(job_id)


class Reaper(threading.Thread):
    """Sweeps every `settings.reap_s` until stopped."""

    def __init__(self, store: Store, dispatcher: Dispatcher, settings: Settings) -> None:
        super().__init__(name="reaper", daemon=True)
        self.store = store
        self.dispatcher = dispatcher
        self.settings = settings
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(self.settings.reap_s):
            try:
                sweep(self.store, self.dispatcher, self.settings)
            except sa.exc.DBAPIError as error:
                # The database is out of reach or busy: the next sweep finds the same work.
                log.warning("sweep_failed", error=str(error.orig))

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(timeout=5)
