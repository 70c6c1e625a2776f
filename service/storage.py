"""Tells a disk that is full, cannot be written, or fails, whoever met it: we, SQLite or PostgreSQL.

Such an error is nobody's fault who asked, and it passes: what is told of it is that nothing is half-written,
and that what waits goes on by itself.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

from whichopt.service.errors import StorageBroken, StorageFull, StorageReadOnly, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS}
_BROKEN = {errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV}

_SQLITE = {
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_READONLY: StorageReadOnly,
    sqlite3.SQLITE_IOERR: StorageBroken,
}
"""By the primary result code, which is the lowest byte of the extended one."""

_POSTGRESQL = {
    "53100": StorageFull,  # disk_full
    "25006": StorageReadOnly,  # read_only_sql_transaction, as on a replica
    "58030": StorageBroken,  # io_error
}
"""By SQLSTATE."""

AFTERWARDS = "Nothing is half-written, and jobs that wait continue by themselves afterwards"
WHAT_TO_DO = {
    StorageFull: "free space on it, or raise the quota, then try again",
    StorageReadOnly: "mount it for writing, or point WHICHOPT_DATABASE_URL and WHICHOPT_BLOBS to places that "
    "can be written, then try again",
    StorageBroken: "check the system's log and the disk (some systems report a full disk this way), "
    "then try again",
}
WHAT_HAPPENED = {
    StorageFull: "a disk of the service is full",
    StorageReadOnly: "a disk or a database of the service cannot be written",
    StorageBroken: "a disk of the service has failed",
}


def storage_trouble(error: BaseException) -> Unavailable | None:
    """Return what to tell of `error` if a disk is behind it, however it is wrapped; None if none is."""
    for each in _causes(error):
        kind = _kind(each)
        if kind is not None:
            return kind(f"{WHAT_HAPPENED[kind]} ({each}): {WHAT_TO_DO[kind]}. {AFTERWARDS}")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from; what a driver said comes after what wraps it (`orig`)."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in seen:
            seen.append(each)
            yield each
            waiting += [getattr(each, "orig", None), each.__cause__]


def _kind(error: BaseException) -> type[Unavailable] | None:
    if isinstance(error, OSError):
        return _kind_of_system(error)
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if "during recovery" in str(error) and hasattr(error, "sqlstate"):
        return StorageReadOnly  # a standby, which has no code of its own for a transaction that may write
    return _POSTGRESQL.get(str(getattr(error, "sqlstate", None)))


def _kind_of_system(error: OSError) -> type[Unavailable] | None:
    if error.errno in _FULL or "No usable temporary directory" in str(error.strerror):
        return StorageFull
    if error.errno in _READ_ONLY:
        return StorageReadOnly
    return StorageBroken if error.errno in _BROKEN else None
