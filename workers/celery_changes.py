"""Changes to Celery itself: its patience with a broker, and its output outside the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from celery.loaders.app import AppLoader
from celery.worker import consumer, state
from kombu.transport import redis, virtual

from whichopt.service import logs
from whichopt.service.failures import failure, in_line
from whichopt.workers.standby import Told

log = structlog.get_logger()

REFUSED_PAUSE_S = 2.0
"""Seconds of a wait after a broker has refused something that a worker needs to start."""


class Loader(AppLoader):  # type: ignore[misc]
    """Imports what Celery is told by name, but not from the folder that the worker was started in.

    Celery's own loader looks there first, so a person's `redis.py` would be taken for the library.
    """

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> Any:
        return (imp or self.import_module)(module, package=package)


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's consumer, with patience for a broker that answers and takes nothing.

    Celery tries again at once, five times a second, with a traceback each second. Of one that does not answer
    it says so in other words than ours, and every time.
    """

    also: Callable[[], str] = staticmethod(lambda: "unknown")
    """The state of the database, which is only checked once the broker answers."""

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once the broker answers, however long that takes; tells what it waits for."""
        outages = Told()
        away = False

        def refused(error: Exception, _: float) -> None:
            nonlocal away
            if not away:
                log.warning("broker_out_of_reach", **failure(error, expected=True), database=self.also())
            away = True
            outages.say(
                f"the broker {conn.as_uri()} does not answer ({in_line(error)}); check that it is running "
                "and that WHICHOPT_BROKER_URL is right"
            )

        connection = conn.ensure_connection(
            refused, self.app.conf.broker_connection_max_retries, callback=state.maybe_shutdown
        )
        self.first_connection_attempt = False
        if away:
            log.info("broker_answers_again")
        return connection

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        super().on_connection_error_before_connected(exc)
        time.sleep(REFUSED_PAUSE_S)


class Message(virtual.Message):
    """Kombu's message, of which an acknowledgement that fails ends the connection.

    Celery logs it and goes on. If the broker only stood still for longer than our patience, the connection
    goes on, too, with a message that is never done: a worker of one process would take no other for ever.
    A new connection begins with none, and a message that comes again finds its cohort done.
    """

    def ack_log_error(self, logger: Any, errors: Any, multiple: bool = False) -> None:
        del logger, errors  # Celery tells of a lost connection itself, and begins another
        self.ack(multiple=multiple)  # type: ignore[no-untyped-call]

    def reject_log_error(self, logger: Any, errors: Any, requeue: bool = False) -> None:
        del logger, errors
        self.reject(requeue=requeue)  # type: ignore[no-untyped-call]


redis.Channel.Message = Message


def log_in_our_lines(level: str) -> None:
    """Log in our lines what Celery and billiard would log in theirs."""
    from billiard import util
    from celery.apps import worker

    util.get_logger().propagate = True
    util.error = _process_fails
    logs.configure(level)
    worker.safe_say = _say


def _process_fails(*message: Any, **options: Any) -> bool:
    """Take the place of billiard's function, which does not return that it has logged: a process of the pool
    that ends by an exception then writes it to stderr as well."""
    from billiard.util import get_logger

    get_logger().error(*message, **options)
    return True


def _say(words: str, *_: Any) -> None:
    """Take the place of Celery's function that writes to stdout when the worker is asked to end."""
    log.info("celery_says", words=words)
