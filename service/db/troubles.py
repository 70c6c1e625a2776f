"""Explains a database's error and what to do about it, in one line that is the same everywhere.

SQLite's errors are told apart by their code. PostgreSQL's are too, once there is a connection; before that
libpq gives the server's sentence alone, which is looked into. A sentence in another language than English
comes through as it is.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from whichopt.service.db.connections import NoConnection
from whichopt.service.errors import WhichoptError

RESTORE = "restore it from a backup"

LONGEST = 300
"""Most characters of an error's own sentence that are shown."""


@dataclass(frozen=True)
class Trouble:
    """A kind of error: a word for logs, what it is, and what to do."""

    code: str
    what: str
    instead: str

    @property
    def words(self) -> str:
        return f"{self.what}; {self.instead}"


DAMAGED = Trouble(
    "damaged",
    "the database is damaged",
    f"stop the service, check the file with 'PRAGMA integrity_check', and {RESTORE}",
)
NO_DATABASE = Trouble(
    "no_database",
    "the file is not an SQLite database, or it is encrypted",
    f"move it away so that 'whichopt migrate' can create a new one, or {RESTORE}",
)
LOCKED = Trouble(
    "locked",
    "another program has locked the database",
    "close whatever has it open (a database browser, a backup), then try again",
)
READ_ONLY = Trouble(
    "read_only",
    "the database cannot be written",
    "give this user write access to the file and to its folder: SQLite keeps two more files beside it",
)
CANNOT_OPEN = Trouble(
    "cannot_open",
    "the database file cannot be opened",
    "check that the file and its folder exist, and that this user can write both",
)
DISK_FULL = Trouble(
    "disk_full",
    "the disk of the database is full",
    "free some space; whatever waits then continues by itself",
)
DISK_FAILS = Trouble(
    "disk_fails",
    "the disk of the database cannot be read or written",
    "check the disk and the system's log",
)
NO_SHARED_FILES = Trouble(
    "no_shared_files",
    "the database's file system cannot lock or share files as SQLite needs (is it a network folder?)",
    "keep the database on a local disk, or use PostgreSQL",
)
OTHER_TABLES = Trouble(
    "other_tables",
    "the database does not have this version's tables",
    f"run 'whichopt migrate'; if that finds nothing to do, someone has changed the tables: {RESTORE}",
)
NO_SUCH_DATABASE = Trouble(
    "no_such_database",
    "the PostgreSQL server has no database of that name",
    "create it (CREATE DATABASE ... ENCODING 'UTF8'), or name another one in WHICHOPT_DATABASE_URL",
)
REFUSED = Trouble(
    "refused",
    "the PostgreSQL server rejects this user",
    "check the user and password in WHICHOPT_DATABASE_URL, and the server's pg_hba.conf",
)
STARTING = Trouble("starting", "the PostgreSQL server is starting, stopping or recovering", "try again soon")
TOO_MANY = Trouble(
    "too_many_connections",
    "the PostgreSQL server has no free connection",
    "raise its max_connections, or run fewer processes",
)
NOT_PERMITTED = Trouble(
    "not_permitted",
    "the database's user lacks a permission",
    "make that user the owner of the database (ALTER DATABASE ... OWNER TO ...), or grant it the schema and "
    "its tables",
)
STANDBY = Trouble(
    "standby",
    "the PostgreSQL server is read-only (a standby, or default_transaction_read_only)",
    "name the primary in WHICHOPT_DATABASE_URL (with several hosts: &target_session_attrs=read-write)",
)
ENCODING = Trouble(
    "encoding",
    "the encoding of the database lacks a character",
    "move its contents into a database that was created with ENCODING 'UTF8'",
)
UNREACHABLE = Trouble(
    "out_of_reach",
    "the database is out of reach",
    "check that it is running and that its address is right, then try again",
)
BUSY = Trouble("busy", "all database connections of this process are in use", "try again soon")

SQLITE = (
    ("SQLITE_NOTADB", NO_DATABASE),
    ("SQLITE_CORRUPT", DAMAGED),
    ("SQLITE_BUSY", LOCKED),
    ("SQLITE_LOCKED", LOCKED),
    ("SQLITE_READONLY", READ_ONLY),
    ("SQLITE_PERM", READ_ONLY),
    ("SQLITE_CANTOPEN", CANNOT_OPEN),
    ("SQLITE_FULL", DISK_FULL),
    ("SQLITE_IOERR_SHMSIZE", DISK_FULL),  # no room for the file that is shared
    ("SQLITE_IOERR_SHM", NO_SHARED_FILES),
    ("SQLITE_IOERR_LOCK", NO_SHARED_FILES),
    ("SQLITE_PROTOCOL", NO_SHARED_FILES),
    ("SQLITE_IOERR", DISK_FAILS),
)
"""By how the code begins: SQLite's own names, the first that fits."""

STATES = {
    "3D000": NO_SUCH_DATABASE,
    "28000": REFUSED,
    "28P01": REFUSED,
    "57P01": STARTING,
    "57P02": STARTING,
    "57P03": STARTING,
    "53300": TOO_MANY,
    "53100": DISK_FULL,
    "42501": NOT_PERMITTED,
    "25006": STANDBY,
    "42P01": OTHER_TABLES,
    "42703": OTHER_TABLES,
    "22P05": ENCODING,
    "58030": DISK_FAILS,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
}
"""By PostgreSQL's SQLSTATE."""

SENTENCES = (
    (r"no such (table|column)|has no column named", OTHER_TABLES),
    (r'database ".*" does not exist', NO_SUCH_DATABASE),
    (r'authentication failed|role ".*" does not exist|pg_hba\.conf|no password supplied', REFUSED),
    (r"is not permitted to log in|permission denied for database", REFUSED),
    (r"starting up|shutting down|not (yet )?accepting connections|in recovery mode", STARTING),
    (r"too many (connections|clients)|connection slots", TOO_MANY),
    (r"during recovery|session is (not )?read-only|server is in hot standby", STANDBY),
)
"""Patterns to find in the message of an error without a code."""


def trouble(error: BaseException) -> Trouble | None:
    """Return what kind of trouble an error of SQLAlchemy is, or None if it is none of these."""
    if isinstance(error, NoConnection):
        return Trouble("no_connection", error.what, error.instead)
    if isinstance(error, sa.exc.TimeoutError):
        return BUSY
    if not isinstance(error, sa.exc.DBAPIError):
        return None
    cause: Any = error.orig
    name = getattr(cause, "sqlite_errorname", None) or ""
    for beginning, found in SQLITE:
        if name.startswith(beginning):
            return found
    if (state := getattr(cause, "sqlstate", None)) in STATES:
        return STATES[state]
    for pattern, found in SENTENCES:
        if re.search(pattern, str(cause)):
            return found
    # Without a code it was no statement that failed, but the connection.
    lost = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and not name and not state
    return UNREACHABLE if lost or error.connection_invalidated else None


def lasts(error: BaseException) -> bool:
    """Tell if waiting does not help: the tables differ, the file is damaged, or the statement is wrong."""
    if trouble(error) in (OTHER_TABLES, DAMAGED, NO_DATABASE):
        return True
    return getattr(getattr(error, "orig", None), "sqlite_errorname", None) == "SQLITE_ERROR"


def in_words(error: BaseException, url: URL) -> str:
    """Return one line that says what is the matter with the database at `url`, and what to do."""
    if isinstance(error, WhichoptError):
        return error.detail
    kind = trouble(error)
    if kind is CANNOT_OPEN or kind is READ_ONLY:
        problem = _file_trouble(Path(url.database or ""))
        return f"the database {place(url)}: {problem}" if problem else f"{place(url)}: {kind.words}"
    words = sentence(error)
    if kind is None:
        return f"the database {place(url)} failed: {words}"
    return f"{place(url)}: {_explained(kind, words)}"


def in_short(error: BaseException) -> str | None:
    """Return the same without saying which database it is; None if the error is none of these."""
    kind = trouble(error)
    return None if kind is None else _explained(kind, sentence(error))


def _explained(kind: Trouble, server_words: str) -> str:
    """Return what happened, the server's words unless they say the same, and what to do."""
    return (
        kind.words if server_words.startswith(kind.what) else f"{kind.what} ({server_words}); {kind.instead}"
    )


def place(url: URL) -> str:
    """Return where a database is, without its password."""
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    options = {name: value for name, value in url.query.items() if name in ("host", "port", "service")}
    return url.set(query=options).render_as_string(hide_password=True)


def sentence(error: BaseException) -> str:
    """Return the error's own words, in one line, without the statement that SQLAlchemy adds."""
    cause: Any = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    cause = getattr(getattr(cause, "diag", None), "message_primary", None) or cause
    text = " ".join(str(cause).split()).removeprefix("connection failed: ")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _file_trouble(path: Path) -> str | None:
    """Why SQLite cannot open or write the file, as far as its file system tells; nothing of a URI."""
    folder = path.parent
    if str(path).startswith("file:"):
        return None
    if path.is_dir():
        return "it is a folder; name a file"
    if not folder.is_dir():
        return f"there is no folder {folder}; create it, or name another"
    for what, needed, it in ((folder, os.W_OK | os.X_OK, "folder"), (path, os.R_OK | os.W_OK, "file")):
        if what.exists() and not os.access(
            what, needed, effective_ids=os.access in os.supports_effective_ids
        ):
            return (
                f"this user (id {os.geteuid()}) may not write the {it} {what}, which belongs to id "
                f"{what.stat().st_uid}; change its owner, or start whichopt as that user"
            )
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"the file system of {folder} is read-only; name another folder"
    if not path.exists():
        return "there is no such file; run 'whichopt migrate', which creates it, or name another"
    return None
