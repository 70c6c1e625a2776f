"""The files of an SQLite database: their URL, and a copy before the tables are changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from whichopt.service.db import Store

LARGEST_COPY = 2 * 2**30
"""Bytes of the largest database that is copied before its tables are changed."""


def quoted_url(path: Path) -> str:
    """Return the URL of the SQLite file, with what has a meaning in a URL escaped.

    Raises:
        ValueError: no URL can name it.
    """
    meant = URL.create("sqlite", database=str(path))
    try:
        rendered = meant.render_as_string()
    except UnicodeEncodeError:  # bytes that are not UTF-8 can only be written as they are
        rendered = f"sqlite:///{path}"
    if make_url(rendered) != meant:
        raise ValueError(f"no database URL can name {str(path)!r}; give a path without ? and %")
    return rendered


def keep_copy(store: Store, name: str) -> Path | None:
    """Copy the database to a file beside it with `name` added; return None if it is too large for that.

    Raises:
        OSError, sqlite3.Error: it cannot be copied.
    """
    database = Path(store.url.database or "")
    copy, part = (database.with_name(f"{database.name}.{end}") for end in (name, f"{name}.part"))
    size = sum(file.stat().st_size for file in (database, Path(f"{database}-wal")) if file.exists())
    if size > LARGEST_COPY or size * 2 > shutil.disk_usage(database.parent).free:
        return None
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, database.stat().st_mode & 0o777))
        # By SQLite's own means, as what was written last is in the file beside it.
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(part)) as to:
            source.backup(to)
        part.replace(copy)
    finally:
        part.unlink(missing_ok=True)
    return copy
