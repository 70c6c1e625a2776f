"""Waits for a database that is out of reach or full, with the message that was taken."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from whichopt.service.db import OUT_OF_REACH
from whichopt.service.failures import failure

PAUSES_S = (0.5, 10.0)
"""The first and the longest pause before the database is asked again."""

PATIENCE_S = 300.0
"""Seconds that a process with a message waits for the database, without taking another one. Then it gives the
message back."""

Answer = TypeVar("Answer")

log = structlog.get_logger()


def until_it_answers(ask: Callable[[], Answer], *, what: str, patience_s: float | None = None) -> Answer:
    """Return what `ask` returns, which is called again while the database is out of reach or full.

    `ask` is one transaction, which does no harm if it is done twice. `what` names it in the log.

    Raises:
        OUT_OF_REACH: the database has not answered for `patience_s` seconds (PATIENCE_S).
    """
    patience_s = PATIENCE_S if patience_s is None else patience_s
    began = time.monotonic()
    pause, longest = PAUSES_S
    waits = False
    while True:
        try:
            answer = ask()
        except OUT_OF_REACH as error:
            left = began + patience_s - time.monotonic()
            if left <= 0:
                raise
            if not waits:
                log.warning("waits_for_database", what=what, at_most_s=patience_s, **failure(error))
            waits = True
        else:
            if waits:
                log.info("database_answers", what=what, after_s=round(time.monotonic() - began, 1))
            return answer
        # By chance, so that the processes of a worker do not come all at once.
        time.sleep(min(left, pause * random.uniform(0.5, 1.5)))
        pause = min(2 * pause, longest)
