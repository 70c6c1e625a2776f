"""The end of a log, for the line that says that its process has ended."""

from __future__ import annotations

from pathlib import Path

LOOKED_AT = 4096
"""Bytes of the log's end: a last line is in them."""


def last_words(log: Path) -> str:
    """Return the last line of the log as the end of a sentence that names it; nothing without one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOOKED_AT))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f", which ends in: {line}" if line else ""
