"""The folder of a cohort's output and checkpoints while it is trained.

It ends with the cohort; that of a process that was killed is removed by whoever comes next.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whichopt.workers.own_locks import FOLDER, OwnLock

PREFIX = "whichopt-run-"


@contextmanager
def scratch(within: Path | None) -> Iterator[Path]:
    """Make a folder for the block, in `within` or where the system has such.

    What processes that were killed have left there is removed before: a checkpoint may be large.
    """
    within = within or Path(tempfile.gettempdir())
    within.mkdir(parents=True, exist_ok=True, mode=0o700)
    if sys.platform == "win32":
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=within) as made:
            yield Path(made)
        return
    remove_left(within)
    path, lock = _made(within)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)  # what cannot be removed now is later
        lock.end()


def remove_left(within: Path) -> None:
    """Remove the folders there whose processes are gone."""
    for left in within.glob(f"{PREFIX}*"):
        try:
            lock = OwnLock(left, FOLDER)
        except OSError:  # it is another user's, or has just been removed
            continue
        try:
            if lock.is_alone():
                shutil.rmtree(left, ignore_errors=True)
        finally:
            lock.end()


def _made(within: Path) -> tuple[Path, OwnLock]:
    """Make a folder and lock it; begin again if somebody has removed it in between."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=within))
        try:
            lock = OwnLock(path, FOLDER)
        except FileNotFoundError:
            continue
        if lock.is_alone() and path.exists():
            return path, lock
        lock.end()
