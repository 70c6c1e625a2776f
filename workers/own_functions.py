"""A worker and people's own functions: which it offers, and to whom it hands on those that it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from whichopt.service.catalog.plugins import BrokenOffer, kind_of
from whichopt.service.dispatch import PLAN_QUEUE, CeleryDispatcher, of_functions
from whichopt.service.settings import Settings
from whichopt.service.spec.needs import need
from whichopt.service.steady import Steady
from whichopt.workers import own_plugins
from whichopt.workers.identity import Identity, identity

if TYPE_CHECKING:
    from whichopt.service.db import Store
    from whichopt.workers.guests.functions import Functions

log = structlog.get_logger()


def queues(queue: str, settings: Settings) -> list[str]:
    """Return the queues that a worker listens to which trains for `queue`."""
    usual = [PLAN_QUEUE, queue]
    own = bool(settings.allowed_functions) or own_plugins.are_here()
    return usual + [of_functions(one) for one in usual] if own else usual


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
    lacking: str,
    task: str,
    row: int,
    queue: str,
) -> None:
    """Ring for a worker that has the function or the plug-in; if none is live, the job waits until one comes.

    Args:
        store: the database.
        ring: the way to the other workers.
        settings: those of this worker.
        lacking: what the job needs and this worker lacks, as `needs_of` calls it.
        task: the kind of the message.
        row: the row that it is about.
        queue: the queue that it came from.
    """
    with store.read() as tx:
        functions = {of for _, _, of, _ in tx.workers.offers(within_s=settings.worker_alive_s)}
        plugins = {
            need(kind_of(one), one.name)
            for _, _, one in tx.workers.plugins(within_s=settings.worker_alive_s)
            if not isinstance(one, BrokenOffer)
        }
    somewhere = lacking in functions | plugins
    # Who has some listens to where it would hand on: the reaper rings for this one again.
    handed_on = somewhere and not settings.allowed_functions and not own_plugins.are_here()
    if handed_on:
        ring.hand_on(task, row, queue)
    kind = "lacks_plugin" if " " in lacking else "lacks_function"
    log.info(kind, needs=lacking, task=task, row=row, offered=somewhere, handed_on=handed_on)


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
