"""The data folder of jobs that are trained where they are made: database, blobs, and who is at work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from whichopt.service.db import DatabaseError, Store
from whichopt.service.db.keys import new_key
from whichopt.service.db.migrate import CannotMigrate, ensure_key, upgrade, wait_until_free
from whichopt.service.db.troubles import in_words
from whichopt.service.errors import StorageBroken
from whichopt.service.settings import Settings
from whichopt.service.sqlite_url import sqlite_url
from whichopt.workers.embedded.outlast import write_whole

CHECKPOINT_S = 2.0
"""Seconds between two states of a cohort that are kept: its results so far, and what `run.keep` wrote."""


@dataclass(frozen=True)
class Folder:
    """An open data folder; `key_id` is the row of the key that its page takes, too."""

    path: Path
    store: Store
    settings: Settings
    key_id: int


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Open the data folder, which is made if it is not there; its database gets this version's tables.

    Raises:
        StorageBroken: it cannot be used; the text says why, and what to do.
    """
    path = path.resolve()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageBroken(
            f"the data folder {path} cannot be made ({error.strerror}); give data= another folder"
        ) from error
    url = sqlite_url(path / "whichopt.db")
    store = Store(url)
    try:
        wait_until_free(store, _say)
        upgrade(store, waits=_say)
        key = _key(path)
        ensure_key(store, key)
        with store.read() as tx:
            key_id = tx.keys.find(key)
        assert key_id is not None
        settings = Settings(database_url=url, blobs=path / "blobs", checkpoint_s=CHECKPOINT_S)
        yield Folder(path, store, settings, key_id)
    except (CannotMigrate, DatabaseError) as error:
        raise StorageBroken(in_words(error, store.url)) from error
    finally:
        store.close()


def _key(path: Path) -> str:
    """Return the key of the folder's page; it is made with the folder, readable by its owner alone."""
    file = path / "api-key"
    if not file.exists() or not file.read_text().strip():
        write_whole(file, new_key() + "\n", mode=0o600)
    return file.read_text().strip()


def _say(words: str) -> None:
    sys.stderr.write(f"whichopt: {words}\n")


class AtWork:
    """Tells the processes that work on a job of each other: whoever is alone takes back what others left."""

    def __init__(self, folder: Path, uid: str) -> None:
        self.path = folder / f"here-{uid}.lock"
        self._file: TextIO | None = None

    def begin(self) -> bool:
        """Note that this process works on the job; return whether it is the only one."""
        import fcntl  # which Windows lacks, where nothing is trained

        self._file = self.path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._file, fcntl.LOCK_SH)
            return False
        return True

    def share(self) -> None:
        """Let others work on it, too."""
        import fcntl

        assert self._file is not None
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def end(self) -> None:
        """Leave the job."""
        if self._file is not None:
            self._file.close()
            self._file = None
