"""The data folder of everything on one machine: made, its database brought up to date, its key made once.

`whichopt up` and `tune` open the same folder; whichever comes first makes it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from whichopt.service.storage import storage_trouble
from whichopt.workers.embedded.outlast import write_whole
from whichopt.workers.own_locks import FOLDER, OwnLock

if TYPE_CHECKING:
    from whichopt.service.db import Store

Say = Callable[[str], None]


class Unusable(Exception):
    """The folder cannot be used; the text says why, and what to do."""


def made(data: Path, *, option: str) -> Path:
    """Make the data folder if it is not there; return its path from the root.

    `option` is how another folder is given, as in `--data`.

    Raises:
        Unusable: it cannot be made, or not be written.
        OSError: the disk is full, or cannot be written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (FileExistsError, NotADirectoryError):
        raise Unusable(f"{data} is a file, or lies in one; give {option} a folder") from None
    except OSError as error:
        if storage_trouble(error) is not None:
            raise
        raise Unusable(
            f"the data folder {data} cannot be created ({error.strerror}); give {option} another folder"
        ) from None
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        raise Unusable(f"this user may not write {data}; change its owner, or give {option} another folder")
    return data.resolve()


def prepared(store: Store, data: Path, *, waits: Say, says: Say, warns: Say) -> str:
    """Bring the folder's database to this version's tables; return the key of its page.

    Args:
        store: the database.
        data: the folder, in which the key is kept, readable by its owner alone.
        waits: takes what is waited for; what it raises ends the wait.
        says: takes what was done.
        warns: takes what could not be done, and was not needed.

    Raises:
        Unusable: the key in the folder is too weak.
        CannotMigrate, DatabaseError: the database cannot be used.
    """
    from whichopt.service.api_keys import WeakKey
    from whichopt.service.db.migrate import ensure_key, upgrade, wait_until_free

    wait_until_free(store, waits)
    _keep_copy(store, says, warns)
    upgrade(store, waits=waits)
    key = _key(data)
    try:
        ensure_key(store, key)
    except WeakKey as error:
        file = data / "api-key"
        raise Unusable(f"{file}: {error}; or remove the file, and a new key is created") from None
    return key


def _key(data: Path) -> str:
    """Return the key in the folder, which is made if there is none: once, whoever comes at the same time."""
    from whichopt.service.db.keys import new_key

    file = data / "api-key"
    lock = OwnLock(data, FOLDER)
    try:
        lock.take()
        if not file.exists() or not file.read_text().strip():
            write_whole(file, new_key() + "\n", mode=0o600)
        return file.read_text().strip()
    finally:
        lock.end()


def _keep_copy(store: Store, says: Say, warns: Say) -> None:
    """Copy the database before a migration changes it; one that is too large is migrated without."""
    from whichopt.service.db.files import keep_copy
    from whichopt.service.db.standing import Tables, head, standing

    if standing(store).tables is not Tables.OLDER:
        return
    try:
        copy = keep_copy(store, f"before-{head()}")
    except (OSError, sqlite3.Error) as error:
        warns(f"the database is migrated without a copy, which could not be made: {error}")
    else:
        if copy is not None:
            says(f"migrating the database of an earlier version; {copy} is a copy of it as it was")
