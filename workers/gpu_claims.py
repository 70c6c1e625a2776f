"""Claims the GPUs of a host for its workers: a locked file for each, so that no two share one unknowingly.

The kernel releases a lock when the worker's parent ends, however it ends, and its training processes end
with it. Workers in containers see each other's locks if the folder (WHICHOPT_GPU_LOCKS) is a volume that
they share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from whichopt.workers.gpus import GPU, CannotUse, Wanted
from whichopt.workers.identity import host

RETRY_S = 2.0
"""Seconds until a worker that waits for a GPU looks again; no single lock tells it that a card is free."""


@dataclass
class Claims:
    """GPUs that this process holds until it ends or gives them up, with the files that say so."""

    files: dict[GPU, int]

    @property
    def gpus(self) -> list[GPU]:
        return list(self.files)

    def give_up(self, gpu: GPU) -> None:
        os.close(self.files.pop(gpu))


def claim(wanted: Wanted, folder: Path, waiting: Callable[[str], None]) -> Claims:
    """The first of the wanted GPUs that no other worker of this host has; waits while they are too few.

    Nothing is held meanwhile. `waiting` is told once what is waited for, and who has it.

    Raises:
        CannotUse: the folder cannot hold locks.
    """
    is_announced = False
    while True:
        claims, taken = _try(wanted, folder)
        if len(claims.files) >= wanted.least:
            return claims
        for gpu in claims.gpus:
            claims.give_up(gpu)
        if not is_announced:
            waiting(f"waits for {wanted.least} of {len(wanted.gpus)} GPUs to be free: {'; '.join(taken)}")
            is_announced = True
        time.sleep(RETRY_S)


def _try(wanted: Wanted, folder: Path) -> tuple[Claims, list[str]]:
    claims, taken = Claims({}), []
    for gpu in wanted.gpus:
        if len(claims.files) == wanted.most:
            break
        try:
            file = _lock(folder, gpu)
        except BlockingIOError:
            taken.append(f"{gpu} is taken by {_holder(folder, gpu)}")
        except OSError as error:
            raise CannotUse(
                f"{folder} cannot hold the locks that keep two workers from one GPU ({error.strerror}); "
                "give WHICHOPT_GPU_LOCKS a folder that every worker of this host may write"
            ) from error
        else:
            claims.files[gpu] = file
    return claims, taken


def _path(folder: Path, gpu: GPU) -> Path:
    return folder / f"{quote(gpu.id, safe='')}.lock"


def _lock(folder: Path, gpu: GPU) -> int:
    """The locked file of that GPU, which is kept for good: removing it would let two have a lock each."""
    import fcntl  # which Windows lacks, where no worker runs

    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)  # as of /tmp: workers of other users lock here too
    path = _path(folder, gpu)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        os.fchmod(file, 0o644)  # whatever the umask: workers of other users have to read it
    except FileExistsError:
        # To read is enough to lock. A file of another user cannot be written, nor opened to be created.
        is_writable = os.access(path, os.W_OK)
        file = os.open(path, (os.O_RDWR if is_writable else os.O_RDONLY) | os.O_NOFOLLOW)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_RDWR:
            os.truncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on host {host()}\n".encode(), 0)
    except OSError:
        os.close(file)
        raise
    return file


def _holder(folder: Path, gpu: GPU) -> str:
    path = _path(folder, gpu)
    written = path.read_text().strip()
    return f"{written or 'another worker'} (lock: {path})"
