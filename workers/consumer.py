"""Celery's consumer, with patience for a broker that answers and takes nothing."""

from __future__ import annotations

import time

from celery.worker import consumer

REFUSED_PAUSE_S = 2.0
"""How long it is waited after a broker has refused what a worker needs before it can begin."""


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery tries again at once, five times a second, with a traceback each second."""

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        super().on_connection_error_before_connected(exc)
        time.sleep(REFUSED_PAUSE_S)
