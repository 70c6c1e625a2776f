"""Waiting for conditions, never for a length of time: beside other work no test fails by being slow."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 300.0
"""Generous, as reaching it says that the condition never comes."""


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Return once `holds()` is true.

    Raises:
        AssertionError: it was not within DEADLINE_S; says what was waited for.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:g} s for {what}"
        time.sleep(0.02)
