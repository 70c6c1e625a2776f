"""The worker that a process belongs to: its parent hands name and queue down by the environment.

Celery tells a child the name only with its first message, and a child has to say something of itself before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

NAME_VARIABLE, QUEUE_VARIABLE = "WHICHOPT_WORKER_NAME", "WHICHOPT_WORKER_QUEUE"


@dataclass(frozen=True)
class Identity:
    """`queue` is the one that the worker trains for."""

    name: str
    queue: str

    def hand_down(self) -> None:
        """Make the identity known to the processes that this one starts."""
        os.environ |= {NAME_VARIABLE: self.name, QUEUE_VARIABLE: self.queue}


def identity() -> Identity | None:
    """The identity that this process was started with; None if its worker was not started by our command."""
    name, queue = os.environ.get(NAME_VARIABLE), os.environ.get(QUEUE_VARIABLE)
    return None if name is None or queue is None else Identity(name, queue)
