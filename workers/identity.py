"""The worker that a process belongs to: its parent hands it down by the environment.

Celery tells a child the name only with its first message, and a child has to say something of itself before.
"""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass

VARIABLE = "WHICHOPT_WORKER"


@dataclass(frozen=True)
class Identity:
    """`queue` is the one that the worker trains for, with that many `processes`."""

    name: str
    queue: str
    processes: int

    def hand_down(self) -> None:
        """Make the identity known to the processes that this one starts."""
        os.environ[VARIABLE] = json.dumps(asdict(self))


def identity() -> Identity | None:
    """The identity that this process was started with; None if its worker was not started by our command."""
    handed = os.environ.get(VARIABLE)
    return None if handed is None else Identity(**json.loads(handed))


def host() -> str:
    """This host's name, in letters that a worker's name, a queue and a database take alike."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "localhost"
