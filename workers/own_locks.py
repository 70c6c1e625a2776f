"""Locks on files and folders that end with the process that took them, whatever it has forked."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from pathlib import Path

if sys.platform != "win32":  # where nothing is locked
    import fcntl

FILE = os.O_RDWR | os.O_CREAT
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class OwnLock:
    """A lock on a file, or on a folder that is there.

    A copy of this process holds none of its locks: it may outlive it, as what a trial has started may.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, flags: int = FILE) -> None:
        self._descriptor: int | None = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)
        _OPEN.add(self)

    def is_alone(self) -> bool:
        """Tell if nobody else has the lock; then it is this process's alone."""
        try:
            self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(self) -> None:
        """Have the lock alone; waits for whoever has it."""
        self._lock(fcntl.LOCK_EX)

    def share(self) -> None:
        """Have the lock as others may have it, too; waits for one who has it alone."""
        self._lock(fcntl.LOCK_SH)

    def end(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, how: int) -> None:
        assert self._descriptor is not None
        fcntl.flock(self._descriptor, how)


_OPEN: weakref.WeakSet[OwnLock] = weakref.WeakSet()


def _end_all() -> None:
    for lock in list(_OPEN):
        with contextlib.suppress(OSError):
            lock.end()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_end_all)
