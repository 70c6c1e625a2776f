"""Turns at what is costly and the same for everybody who asks: one computes it, the others wait for that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from whichopt.service.errors import Unavailable

WAIT_S = 20.0
"""Seconds that a request waits for its turn; it holds one of a few dozen threads."""

_TURNS: WeakValueDictionary[tuple[str, str], threading.Lock] = WeakValueDictionary()
_TURNS_LOCK = threading.Lock()


@contextmanager
def turn(what: str, uid: str, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold this process's turn at making `what` ("report") of a job.

    Raises:
        Unavailable: somebody else's turn has not ended in time; asking again later will do.
    """
    with _TURNS_LOCK:
        lock = _TURNS.setdefault((what, uid), threading.Lock())
    if not lock.acquire(timeout=wait_s):
        raise Unavailable(f"the {what} of job {uid} is being made; ask again in a minute")
    try:
        yield
    finally:
        lock.release()
