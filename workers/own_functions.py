"""A worker and people's own functions: which it offers, and to whom it hands on those that it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from whichopt.service.dispatch import PLAN_QUEUE, CeleryDispatcher, of_functions
from whichopt.service.settings import Settings
from whichopt.service.steady import Steady
from whichopt.workers.identity import Identity, identity

if TYPE_CHECKING:
    from whichopt.service.db import Store
    from whichopt.workers.guests.functions import Functions

log = structlog.get_logger()


def queues(queue: str, settings: Settings) -> list[str]:
    """Return the queues that a worker listens to which trains for `queue`."""
    usual = [PLAN_QUEUE, queue]
    return usual + [of_functions(one) for one in usual] if settings.allowed_functions else usual


def runs(store: Store, settings: Settings) -> Functions | None:
    """Return what runs the functions that this process's worker offers; None if the operator allows none.

    A function that is allowed, but whose module is not here, is another worker's.
    """
    if not settings.allowed_functions:
        return None
    from whichopt.workers.guests.offered import functions_of_workers

    process = identity()
    if process is None:  # no process of its worker tells anything
        return functions_of_workers(settings, settings.allowed_functions)
    with store.read() as tx:
        told = tx.workers.functions_of(process.name)
    return functions_of_workers(
        settings, [name for name in settings.allowed_functions if name in (told or ())]
    )


def hand_on(
    store: Store,
    ring: CeleryDispatcher,
    settings: Settings,
    *,
    function: str,
    task: str,
    row: int,
    queue: str,
) -> None:
    """Ring for a worker that has the function; if none is live, the job waits until one comes and says so."""
    with store.read() as tx:
        offers = tx.workers.offers(within_s=settings.worker_alive_s)
    somewhere = any(of == function for _, _, of, _ in offers)
    # Who has functions listens to where it would hand on: the reaper rings for this one again.
    handed_on = somewhere and not settings.allowed_functions
    if handed_on:
        ring.hand_on(task, row, queue)
    log.info("lacks_function", function=function, task=task, row=row, offered=somewhere, handed_on=handed_on)


class TellFunctions(Steady):
    """Writes into the worker's row which of the functions that the operator allows are here, and their
    sources; then rings for the jobs that waited for them."""

    def __init__(
        self, store: Store, ring: CeleryDispatcher, settings: Settings, process: Identity, *, pause_s: float
    ) -> None:
        super().__init__("tell-functions", pause_s, at_once=True)
        self.store = store
        self.ring = ring
        self.settings = settings
        self.process = process

    def step(self) -> None:
        from whichopt.workers.guests.offered import offered

        name, queue, processes = self.process.name, self.process.queue, self.process.processes
        with self.store.read() as tx:
            if tx.workers.answer_of(name) is None:
                return  # until then the worker has no row
        found = offered(self.settings)
        with self.store.transaction() as tx:
            tx.workers.seen(name, queue=queue, processes=processes, functions=found)
            waiting = tx.lost.about(found, queue=queue)
            queued = {job_id: tx.cohorts.queued_of(job_id) for job_id in waiting}
        self.end()
        for job_id, cohorts in queued.items():
            if cohorts:
                self.ring.cohorts(cohorts, queue)
            else:
                self.ring.plan(job_id)
