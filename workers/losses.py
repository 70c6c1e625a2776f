"""Explains the end of a process while it trained: what happened, and what to do."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from whichopt.service.settings import Settings

STUCK = 70
"""Exit status of a process that ends itself as its training hangs."""

COUNTERS = Path("/proc/vmstat")


def memory_kills() -> int | None:
    """Return how many processes the kernel has killed for lack of memory; None if it does not say."""
    try:
        match = re.search(r"^oom_kill (\d+)$", COUNTERS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if match is None else int(match[1])


def cause(ended: str, *, settings: Settings, kills_before: int | None) -> str:
    """Say what was seen of a process that was lost.

    `ended` is how its pool puts it: "... signal 9 (SIGKILL) ..." or "... exitcode 70 ...". `kills_before` is
    what `memory_kills` was when the worker started.
    """
    if found := re.search(r"signal (\d+)", ended):
        return _by_signal(int(found[1]), kills_before)
    if found := re.search(r"exitcode (-?\d+)", ended):
        status = int(found[1])
        if status == STUCK:
            return (
                f"its process ended itself because no evaluation came for {settings.stuck_s:g} s. Either "
                "training hangs, or an epoch takes longer than WHICHOPT_STUCK_S allows: then raise that"
            )
        return f"its process ended with exit status {status}; look at the worker's log"
    return f"its process was lost ({ended}); look at the worker's log"


def _by_signal(number: int, kills_before: int | None) -> str:
    try:
        name = f"{number} ({signal.Signals(number).name})"
    except ValueError:
        name = str(number)
    killed = f"its process was ended by signal {name}"
    if number != signal.SIGKILL:
        return f"{killed}; look at the worker's log"
    kills = memory_kills()
    if kills is None or kills_before is None:
        return f"{killed}: by a person, a scheduler, or the system for lack of memory; the system's log tells"
    if kills > kills_before:
        return (
            f"{killed}, and this machine has run out of memory: try a smaller model or batch_size, or fewer "
            "processes per worker"
        )
    return f"{killed} from outside, and not for lack of memory: the machine's kernel has counted no such kill"
