"""Hands work over, by task name and always after the commit. A message is a doorbell: "look at row N".

A doorbell that is lost costs time, never work: the reaper rings again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Protocol

import structlog
from kombu.exceptions import ChannelError, OperationalError

from whichopt.service.failures import failure, in_line
from whichopt.service.settings import Settings

PLAN_ROUND = "whichopt.plan_round"
RUN_COHORT = "whichopt.run_cohort"
MAKE_REPORT = "whichopt.make_report"
PLAN_QUEUE = "plan"
"""Every worker listens to it, whatever it trains on."""


def of_functions(queue: str) -> str:
    """Return the queue beside `queue` that workers listen to which have people's own functions.

    A worker that lacks the function of a message hands it on to there.
    """
    return f"{queue}.functions"


log = structlog.get_logger()


class Dispatcher(Protocol):
    """Rings; never raises if the broker is out of reach, as the row is already safe."""

    def plan(self, job_id: int) -> None:
        """Somebody should plan this job's next round."""
        ...

    def cohorts(self, ids: Iterable[int], queue: str) -> None:
        """Somebody should train these cohorts."""
        ...

    def report(self, job_id: int) -> None:
        """Ask any worker to make the report of this concluded job."""
        ...

    def waiting(self, queue: str, /) -> int | None:
        """Return the number of doorbells in a queue; None if the broker does not answer."""
        ...

    def refusal(self) -> str | None:
        """Why no doorbell can be rung, in the broker's words; None if one can."""
        ...


class CeleryDispatcher:
    """Rings through a Celery instance, which the caller makes or is (a worker rings through its own)."""

    def __init__(self, celery: Any) -> None:
        self.celery = celery
        self._away = False

    def plan(self, job_id: int) -> None:
        self._ring(PLAN_ROUND, [job_id], PLAN_QUEUE)

    def cohorts(self, ids: Iterable[int], queue: str) -> None:
        for cohort_id in ids:
            self._ring(RUN_COHORT, [cohort_id], queue)

    def report(self, job_id: int) -> None:
        self._ring(MAKE_REPORT, [job_id], PLAN_QUEUE)

    def hand_on(self, task: str, row: int, queue: str) -> None:
        """Ring a worker that has people's own functions, as this one lacks the row's."""
        self._ring(task, [row], of_functions(queue))

    def waiting(self, queue: str, /) -> int | None:
        with self.celery.connection_for_write() as connection:
            try:
                # Not passively: kombu looks for the queue's key without its prefix, and finds none. Over
                # Redis this makes nothing, as a queue is there once something is in it.
                declared = connection.default_channel.queue_declare(queue)
            except self._refusals as error:
                if not self._away:  # once, as the reaper asks every few seconds
                    log.warning("broker_out_of_reach", **failure(error, expected=True))
                self._away = True
                return None
        if self._away:
            log.info("broker_answers_again")
        self._away = False
        return int(declared.message_count)

    def refusal(self) -> str | None:
        with self.celery.connection_for_write(connect_timeout=2) as connection:
            try:
                connection.ensure_connection(max_retries=1, timeout=2)
                _write_a_little(connection.default_channel)
            except self._refusals as error:
                return in_line(error)
        return None

    def _ring(self, task: str, args: list[int], queue: str) -> None:
        try:
            self.celery.send_task(task, args, queue=queue, retry=False)
        except self._refusals as error:
            # The row stands; the reaper rings again once the broker is back, or takes what it is sent.
            log.warning("doorbell_lost", task=task, args=args, queue=queue, **failure(error, expected=True))

    @cached_property
    def _refusals(self) -> tuple[type[Exception], ...]:
        """Errors if the broker is away or refuses a command."""
        connection = self.celery.connection_for_write()
        return (OperationalError, ChannelError, *connection.connection_errors, *connection.channel_errors)


def _write_a_little(channel: Any) -> None:
    """Write a key that is soon gone: a broker that is full, or a replica, answers but takes no message."""
    client = getattr(channel, "client", None)
    if client is not None:  # a transport over Redis; it prefixes the key
        client.set("can-be-written", "1", ex=60)


def celery_app(settings: Settings) -> Any:
    """A Celery instance that can send and, in a worker, receive."""
    from celery import Celery

    app = Celery("whichopt")
    app.conf.update(
        broker_url=settings.broker_url,
        broker_connection_retry_on_startup=True,
        # A worker outlives a broker that is away for long, and one that takes no writes for a while: its disk
        # or its memory is full, it is loading, or it has become a replica.
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            "global_keyprefix": settings.broker_prefix,
            "visibility_timeout": 3600,
            "unacked_restore_interval": 10,
            "socket_keepalive": True,
            # A broker that hangs must not hang the doors, the reaper and the workers with it.
            "socket_connect_timeout": 2,
            "socket_timeout": 10,
            # A door does not wait for a broker that is away: the row is safe, the reaper rings again.
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
        },
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue=PLAN_QUEUE,
        task_create_missing_queues=True,
        # A message is acknowledged once its cohort has ended, and given back where its process died.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # With fork, torch deadlocks once the parent has run an operation, and CUDA fails outright.
        worker_pool_start_method="spawn",
        # Time for a child to import torch: one that is slower is taken for dead.
        worker_proc_alive_timeout=120.0,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app
