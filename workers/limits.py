"""Checks the limits of the system before a home or a worker starts; each problem is one line."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

OPEN_FILES = 10_240
"""Number of files that each process may open, if we may set it: a bit more than the broker needs."""

FEW_FILES = 256
"""With fewer the broker turns clients away, and the API readers who follow a job."""


def raise_open_files(say: Callable[[str], None]) -> None:
    """Let this process and its children open as many files as they may need, and tell if those are few.

    What a shell allows by itself (1024 on Linux, 256 on macOS) may be raised up to a hard limit by anybody.
    """
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        allowed = wanted
    if allowed != resource.RLIM_INFINITY and allowed < FEW_FILES:
        say(
            f"this process may open only {allowed} files, and many processes or readers use them up; "
            "raise the limit to 1024 (ulimit -n 1024)"
        )


def why_no_semaphores() -> str:
    """Why the processes of a worker could not share a lock, in words; nothing if they can."""
    try:
        multiprocessing.get_context("fork").Lock()
    except (OSError, ImportError) as error:
        return (
            f"training processes cannot share a lock ({error}); make /dev/shm a folder that can be "
            "written, as `docker run --tmpfs /dev/shm` does"
        )
    return ""
