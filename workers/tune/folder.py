"""The data folder of jobs that are trained where they are made: its database, its blobs, and its key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from whichopt.service.db import DatabaseError, Store
from whichopt.service.db.migrate import CannotMigrate
from whichopt.service.db.troubles import in_words
from whichopt.service.errors import StorageBroken
from whichopt.service.reaper import collect
from whichopt.service.settings import Settings
from whichopt.service.sqlite_url import sqlite_url
from whichopt.workers import data_folder
from whichopt.workers.guests.scratch import remove_left

CHECKPOINT_S = 2.0
"""Seconds between two states of a cohort that are kept: its results so far, and what `run.keep` wrote."""


@dataclass(frozen=True)
class Folder:
    """An open data folder; `key_id` is the row of the key that its page takes, too."""

    path: Path
    store: Store
    settings: Settings
    key_id: int

    @property
    def runs(self) -> Path:
        """The folder of what trials write while they run."""
        return self.path / "runs"


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Open the data folder, which is made if it is not there; its database gets this version's tables.

    Raises:
        StorageBroken: it cannot be used; the text says why, and what to do.
    """
    try:
        path = data_folder.made(path, option="data=")
    except data_folder.Unusable as error:
        raise StorageBroken(str(error)) from error
    url = sqlite_url(path / "whichopt.db")
    store = Store(url)
    try:
        key = data_folder.prepared(store, path, waits=_say, says=_say, warns=_say)
        with store.read() as tx:
            key_id = tx.keys.find(key)
        assert key_id is not None
        settings = Settings(database_url=url, blobs=path / "blobs", checkpoint_s=CHECKPOINT_S)
        folder = Folder(path, store, settings, key_id)
        remove_left(folder.runs)
        collect(store, settings)
        yield folder
    except data_folder.Unusable as error:
        raise StorageBroken(str(error)) from error
    except (CannotMigrate, DatabaseError) as error:
        raise StorageBroken(in_words(error, store.url)) from error
    finally:
        store.close()


def _say(words: str) -> None:
    sys.stderr.write(f"whichopt: {words}\n")
