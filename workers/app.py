"""The Celery instance: the three messages that a worker takes, and what its processes hold.

The parent only listens: it keeps its row of the worker table fresh and reaps. Each child has its own
connection to the database and trains with one torch thread. The parent imports the database only after it has
started its children, as a first job waits for those.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import structlog
from billiard import current_process
from billiard.exceptions import WorkerLostError
from celery import signals
from celery.exceptions import Reject, WorkerShutdown
from celery.worker import state
from celery.worker.request import Request

from whichopt.service.dispatch import (
    MAKE_REPORT,
    PLAN_QUEUE,
    PLAN_ROUND,
    RUN_COHORT,
    CeleryDispatcher,
    celery_app,
    of_functions,
)
from whichopt.service.failures import failure, in_line
from whichopt.service.settings import Settings
from whichopt.service.states import Agreement
from whichopt.service.steady import Steady
from whichopt.workers import allocator, celery_changes, gpus, losses, own_functions, own_plugins, standby
from whichopt.workers.identity import identity

if TYPE_CHECKING:
    from whichopt.service.db import Store

PLAN_S = 600
"""Seconds after which a planner is killed."""

REPORT_S = 600
"""Seconds after which a process that makes a report is killed."""

CONNECTIONS = 2
"""Connections to the database that a process has at a time, at most: its work's and its heartbeat's."""

settings = Settings.from_environment()  # which `python -m whichopt.workers` has checked
app = celery_app(settings)
app.loader_cls = celery_changes.Loader
app.loader = celery_changes.Loader(app=app)
app.conf.worker_consumer = "whichopt.workers.celery_changes:Consumer"
celery_changes.Consumer.also = staticmethod(lambda: standby.database_in_words(_own_store()))
log = structlog.get_logger()

_store: Store | None = None


def _own_store() -> Store:
    """This process's connection to the database."""
    global _store
    if _store is None:
        from whichopt.service.db import Store

        # None is kept: there are as many processes as cores, and what they do is seldom to ask.
        _store = Store(settings.database_url, connections=CONNECTIONS, keep=0, makes_file=False)
    return _store


# Acknowledged when it begins: a planner that dies is rung for again by the reaper, which counts.
@app.task(name=PLAN_ROUND, bind=True, acks_late=False, time_limit=PLAN_S)  # type: ignore[untyped-decorator]
def plan_round(task: Any, job_id: int) -> None:
    from whichopt.workers import jobs

    lacking = jobs.plan_round(_context(task), job_id)
    if lacking is not None:
        _hand_on(lacking, PLAN_ROUND, job_id, PLAN_QUEUE)


# Acknowledged when it begins, for the same reason.
@app.task(name=MAKE_REPORT, bind=True, acks_late=False, time_limit=REPORT_S)  # type: ignore[untyped-decorator]
def make_report(task: Any, job_id: int) -> None:
    from whichopt.workers import jobs

    jobs.make_report(_context(task), job_id)
    allocator.give_back()


class WatchedRequest(Request):  # type: ignore[misc]
    """A cohort's message in the parent, which sees how a process that trains it ends."""

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        lost = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(lost, WorkerLostError) and _parent is not None:
            _parent.lost(self.args[0], str(lost))
        return super().on_failure(exc_info, *args, **options)


@app.task(name=RUN_COHORT, bind=True, Request=WatchedRequest)  # type: ignore[untyped-decorator]
def run_cohort(task: Any, cohort_id: int) -> None:
    from whichopt.service.db import OUT_OF_REACH
    from whichopt.workers import jobs

    try:
        lacking = jobs.run_cohort(_context(task), cohort_id)
        if lacking is not None:
            _hand_on(lacking, RUN_COHORT, cohort_id, task.request.delivery_info["routing_key"])
    except OUT_OF_REACH as error:
        raise Reject(in_line(error), requeue=True) from error  # somebody may get through
    finally:
        allocator.give_back()


def _context(task: Any) -> Any:
    from whichopt.workers.jobs import Context  # imports torch: in the children only
    from whichopt.workers.patience import until_it_answers

    until_it_answers(_ask_database, what="a message")
    _tell_agreement()
    return Context(
        _own_store(),
        CeleryDispatcher(app),
        settings,
        worker_name=task.request.hostname,
        functions=own_functions.runs(_own_store(), settings),
        plugins=own_plugins.has(_own_store()),
    )


def _hand_on(lacking: str, task: str, row: int, queue: str) -> None:
    own_functions.hand_on(
        _own_store(), CeleryDispatcher(app), settings, lacking=lacking, task=task, row=row, queue=queue
    )


def _ask_database() -> None:
    with _own_store().read() as tx:
        tx.now()


# -- parent and children ------------------------------------------------------------------------------


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    celery_changes.log_in_our_lines(settings.log_level)


# -- children ------------------------------------------------------------------------------------------


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _warm_up(**_: Any) -> None:
    _take_place()
    # What imports make is there to stay: collections that walk it meanwhile cost a sixth of the time.
    gc.disable()
    import torch

    allocator.keep()
    torch.set_num_threads(1)
    # What the first message would wait for: training's imports, and those of a first optimizer.
    import whichopt.workers.jobs  # noqa: F401
    from whichopt.service.reporting import renderer
    from whichopt.workers.engine import numerics

    renderer()  # of the code as it runs now: files that change under it must not pass for its version
    numerics.repeat_to_the_bit()
    torch.optim.SGD([torch.zeros(1)])
    _tell_agreement()
    process = identity()
    if process is not None and not _agreement_told:
        TellAgreement("tell-agreement", TELL_AGAIN_S).start()
    if process is not None and settings.allowed_functions and current_process().index == 0:
        ring = CeleryDispatcher(app)
        own_functions.TellFunctions(_own_store(), ring, settings, process, pause_s=TELL_AGAIN_S).start()
    if process is not None and own_plugins.are_here() and current_process().index == 0:
        own_plugins.TellPlugins(_own_store(), process, pause_s=TELL_AGAIN_S).start()
    if (
        process is not None and process.queue == "cpu" and current_process().index == 0
    ):  # one of them is enough
        from whichopt.workers import kernels

        kernels.tell()
    gc.freeze()  # all this stays: a collection that walks it takes 0.1 s and finds nothing
    gc.enable()


TELL_AGAIN_S = 1.0

_agreement_told = False


def _tell_agreement() -> None:
    """Write into the worker's row how far results agree in this process, if that has not been done yet."""
    global _agreement_told
    process = identity()
    if process is None or _agreement_told:  # a row without an answer counts as the worse one
        return
    import torch

    from whichopt.service.db import DatabaseError
    from whichopt.workers.engine.agree import agreement

    trains = process.queue != "cuda" or torch.cuda.is_available()  # else it plans, and training would fail
    answer = agreement(process.queue) if trains else Agreement.CLOSE
    try:
        with _own_store().transaction() as tx:
            tx.workers.probed(
                process.name, queue=process.queue, processes=process.processes, agreement=answer
            )
    except DatabaseError as error:
        # Away, full, or not migrated yet: it is tried again.
        log.info("agreement_not_told", agreement=answer, **failure(error))
        return
    _agreement_told = True


class TellAgreement(Steady):
    """Tries again while the database is away or not migrated: until then the worker does not live."""

    def step(self) -> None:
        _tell_agreement()
        if _agreement_told:
            self.end()


def _take_place() -> None:
    """One GPU a process, before torch looks for them."""
    from billiard import current_process

    number = current_process().index
    gpu = gpus.take_place(number)
    if gpu:
        log.info("placed", process=os.getpid(), number=number, gpu=gpu)


# -- the parent ----------------------------------------------------------------------------------------


READY_POLL_S = 0.2
"""Seconds between two checks of a starting worker if one of its processes is ready."""


class Presence(Steady):
    """Keeps the worker's row fresh, once one of its processes is ready and has made it.

    A worker that is not seen is gone, for other processes and for `whichopt.workers.alive`.
    """

    def __init__(self, name: str, queue: str, processes: int) -> None:
        super().__init__("presence", READY_POLL_S, at_once=True)
        self.worker_name = name
        self.queue = queue
        self.processes = processes
        self.agreement: Agreement | None = None

    def step(self) -> None:
        self.pause_s = settings.worker_alive_s / 3  # also if this raises
        if not self._lives():
            self.pause_s = READY_POLL_S

    def _lives(self) -> bool:
        """Say that the worker lives; return False if it does not yet.

        Of a worker that our command did not start, no process says what it found: it lives at once.
        """
        with _own_store().transaction() as tx:
            self.agreement = self.agreement or tx.workers.answer_of(self.worker_name)
            if self.agreement is None and identity() is not None:
                return False
            tx.workers.seen(
                self.worker_name, queue=self.queue, processes=self.processes, agreement=self.agreement
            )
        return True


class Parent:
    """The threads of a worker's parent, from its start to its end."""

    def __init__(self, name: str, queue: str, processes: int) -> None:
        from whichopt.service.reaper import Reaper

        self.presence = Presence(name, queue, processes)
        self.reaper = Reaper(_own_store(), CeleryDispatcher(app), settings)
        self.kills_before = losses.memory_kills()
        self.presence.start()
        self.reaper.start()

    def lost(self, cohort_id: int, ended: str) -> None:
        """Note what was seen of the process that trained the cohort; others may go on with it at once."""
        seen = time.monotonic()
        cause = losses.cause(ended, settings=settings, kills_before=self.kills_before)
        # In a thread, as the pool waits for nothing.
        threading.Thread(target=self._note, args=(cohort_id, cause, seen), name="lost", daemon=True).start()

    def _note(self, cohort_id: int, cause: str, seen: float) -> None:
        try:
            with _own_store().transaction() as tx:
                noted = tx.lost.note(
                    cohort_id,
                    worker_name=self.presence.worker_name,
                    cause=cause,
                    lease_s=settings.lease_s,
                    quiet_s=time.monotonic() - seen,  # a lease renewed since is another process's
                )
        except Exception as error:  # noqa: BLE001
            log.error("loss_not_noted", cohort=cohort_id, **failure(error))  # its lease runs out instead
        else:
            log.warning("process_lost", cohort=cohort_id, cause=cause, held=noted)

    def tell_stopping(self) -> None:
        """Write that the worker ends; imports nothing that its parent has not imported already."""
        from whichopt.service.db import DatabaseError

        try:
            with _own_store().transaction() as tx:
                tx.workers.stopping(self.presence.worker_name)
        except DatabaseError as error:
            log.warning("stopping_not_told", **failure(error))  # the leases run out instead

    def end(self) -> None:
        self.presence.stop()
        self.reaper.stop()
        from whichopt.service.db import DatabaseError

        try:
            with _own_store().transaction() as tx:
                tx.workers.gone(self.presence.worker_name)
        except DatabaseError as error:
            log.warning("end_not_told", **failure(error))  # its row is forgotten once it is old


_parent: Parent | None = None
_asked_to_end = False


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _ready(sender: Any, **_: Any) -> None:
    global _parent
    try:
        if not standby.database_is_current(_own_store(), state):
            return
        own = {queue.name for queue in sender.task_consumer.queues} - {PLAN_QUEUE}
        queues = sorted(own - {of_functions(queue) for queue in {PLAN_QUEUE, *own}})
        _parent = Parent(sender.hostname, ",".join(queues), sender.pool.num_processes)
    except Exception as error:
        # Celery would log it and go on with a worker that nobody sees. Who started it starts another.
        log.error("worker_cannot_start", **failure(error))
        raise WorkerShutdown(1) from error


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _shutting_down(**_: Any) -> None:
    """Cohorts that run here are given back at their next tick, and the pool waits for that.

    Called in a signal's handler, so wherever the main thread is, as in the middle of an import: nothing may
    be imported here for the first time. Before there is a parent, nothing runs here that could be given back.
    """
    global _asked_to_end
    _asked_to_end = True
    if _parent is not None:
        _parent.tell_stopping()


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _gone(**_: Any) -> None:
    if _parent is not None:
        _parent.end()


def exit_status(celerys: int | None) -> int:
    """The exit status of this process, given Celery's: whoever ends a worker by a signal gets 0."""
    return 0 if _asked_to_end else celerys or 0
