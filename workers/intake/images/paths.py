"""Paths of images by their parts, and those that systems leave behind."""

from __future__ import annotations

Path = tuple[str, ...]

HIDDEN = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What systems leave in folders, beside names that begin with a dot."""


def hidden(path: Path) -> bool:
    """Tell if a path is one that systems leave behind, and nobody sends."""
    return any(part.startswith(".") or part in HIDDEN for part in path)
