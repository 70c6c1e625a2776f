"""Opening an SQLite database that has to be there."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote


def open_what_is_there(dialect: Any, _: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Connect to an SQLite file without making it; of what is no plain file, leave it to SQLAlchemy."""
    (name,) = arguments
    if name == ":memory:" or options.get("uri"):
        return None
    return dialect.connect(f"file:{quote(os.fsencode(name))}?mode=rw", **options, uri=True)
