"""The Celery instance: the three messages that a worker takes, and what its processes hold.

The parent only listens: it keeps its row of the worker table fresh and reaps. Each child has its own
connection to the database and trains with one torch thread.
"""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

import structlog
from celery import signals

from service.db import OUT_OF_REACH, Store
from service.dispatch import (
    MAKE_REPORT,
    PLAN_QUEUE,
    PLAN_ROUND,
    RUN_COHORT,
    CeleryDispatcher,
    celery_app,
)
from service.logs import configure
from service.reaper import Reaper
from service.settings import Settings
from workers import allocator

PLAN_S = 600
"""How long a planner may take before it is killed."""

REPORT_S = 600
"""The same for who makes a report."""

settings = Settings()
app = celery_app(settings)
log = structlog.get_logger()

_store: Store | None = None


def _own_store() -> Store:
    """This process's connection to the database."""
    global _store
    if _store is None:
        _store = Store(settings.database_url)
    return _store


# Acknowledged when it begins: a planner that dies is rung for again by the reaper, which counts.
@app.task(name=PLAN_ROUND, bind=True, acks_late=False, time_limit=PLAN_S)  # type: ignore[untyped-decorator]
def plan_round(task: Any, job_id: int) -> None:
    from workers import jobs

    jobs.plan_round(_context(task), job_id)


# Acknowledged when it begins, for the same reason.
@app.task(name=MAKE_REPORT, bind=True, acks_late=False, time_limit=REPORT_S)  # type: ignore[untyped-decorator]
def make_report(task: Any, job_id: int) -> None:
    from workers import jobs

    jobs.make_report(_context(task), job_id)
    allocator.give_back()


@app.task(name=RUN_COHORT, bind=True)  # type: ignore[untyped-decorator]
def run_cohort(task: Any, cohort_id: int) -> None:
    from workers import jobs

    jobs.run_cohort(_context(task), cohort_id)
    allocator.give_back()


def _context(task: Any) -> Any:
    from workers.jobs import Context  # imports torch: in the children only

    return Context(_own_store(), CeleryDispatcher(app), settings, worker_name=task.request.hostname)


# -- children ------------------------------------------------------------------------------------------


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _warm_up(**_: Any) -> None:
    configure(settings.log_level)
    _choose_gpu()
    import torch

    allocator.keep()
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True  # a trial's result is a pure function of its plan
    # What the first message would wait for: training's imports, and those of a first optimizer.
    import sklearn.datasets  # noqa: F401

    import workers.jobs  # noqa: F401

    torch.optim.SGD([torch.zeros(1)])
    gc.freeze()  # all this stays: a collection that walks it takes 0.1 s and finds nothing


def _choose_gpu() -> None:
    """One GPU a process, before torch looks for them."""
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if len(visible) > 1:
        from billiard import current_process

        os.environ["CUDA_VISIBLE_DEVICES"] = visible[current_process().index % len(visible)]


# -- the parent ----------------------------------------------------------------------------------------


class Presence(threading.Thread):
    """Keeps the worker's row fresh."""

    def __init__(self, name: str, queue: str, processes: int) -> None:
        super().__init__(name="presence", daemon=True)
        self.worker_name = name
        self.queue = queue
        self.processes = processes
        self.ended = threading.Event()

    def run(self) -> None:
        while True:
            try:
                with _own_store().transaction() as tx:
                    tx.workers.seen(self.worker_name, queue=self.queue, processes=self.processes)
            except Exception:
                log.exception("presence_failed")  # and tried again: a worker that is not seen is gone
            if self.ended.wait(settings.worker_alive_s / 3):
                return


class Parent:
    """The threads of a worker's parent, from its start to its end."""

    def __init__(self, name: str, queue: str, processes: int) -> None:
        self.presence = Presence(name, queue, processes)
        self.reaper = Reaper(_own_store(), CeleryDispatcher(app), settings)
        self.presence.start()
        self.reaper.start()

    def end(self) -> None:
        self.presence.ended.set()
        self.presence.join(timeout=5)
        self.reaper.stop()
        with _own_store().transaction() as tx:
            tx.workers.gone(self.presence.worker_name)


_parent: Parent | None = None


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _ready(sender: Any, **_: Any) -> None:
    global _parent
    configure(settings.log_level)
    queues = {queue.name for queue in sender.task_consumer.queues} - {PLAN_QUEUE}
    _parent = Parent(sender.hostname, ",".join(sorted(queues)), sender.pool.num_processes)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _shutting_down(sender: str, **_: Any) -> None:
    """Cohorts that run here are given back at their next tick, and the pool waits for that."""
    try:
        with _own_store().transaction() as tx:
            tx.workers.stopping(sender)
    except OUT_OF_REACH as error:
        log.warning("stopping_not_told", error=str(error))  # the leases run out instead


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _gone(**_: Any) -> None:
    if _parent is not None:
        _parent.end()
