"""Lets a home survive a full disk, a closed terminal, and children that end again and again."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

RESTARTS = 5
"""Number of times that a child that ends by itself is restarted at once within RESTART_WINDOW_S."""

RESTART_WINDOW_S = 120.0

RESTART_PAUSE_S = 20.0
"""Seconds of a wait before each further restart of a child that ends again and again."""


def say(words: str, *, file: TextIO | None = None) -> None:
    """Print a line to stderr, or to `file`; a home outlives a terminal that is gone and a full disk."""
    with contextlib.suppress(OSError, ValueError):
        print(words, file=file or sys.stderr, flush=True)


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all.

    Half an API key, which a full disk may leave, would be a key that is easily guessed.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class Again:
    """When what ended by itself is started again: at once, or later if that has been done often of late."""

    def __init__(self) -> None:
        self.started: list[float] = []

    def attempt(self, start: Callable[[], None], why: str, where: str) -> None:
        """Call `start`, unless it is too soon; say it, and what it raises, which is no end of the home."""
        now = time.monotonic()
        self.started = [t for t in self.started if now - t < RESTART_WINDOW_S]
        often = len(self.started) >= RESTARTS
        if often and now - self.started[-1] < RESTART_PAUSE_S:
            return
        self.started.append(now)
        say(f"{why}{' again and again' if often else ''}; starting it again ({where})")
        try:
            start()
        except (OSError, RuntimeError) as error:
            say(f"it cannot be started now: {error}")
