"""The URL of an SQLite file, whatever its path is made of."""

from __future__ import annotations

import re
from pathlib import Path

PLAIN = re.compile(r"[\w/ .,+=-]+")


def sqlite_url(path: Path) -> str:
    """Return the URL by which SQLAlchemy opens the file.

    Raises:
        ValueError: no URL can name it.
    """
    if PLAIN.fullmatch(str(path)):  # stands for itself; and SQLAlchemy takes a while to import
        return f"sqlite:///{path}"
    from whichopt.service.db.files import quoted_url

    return quoted_url(path)
