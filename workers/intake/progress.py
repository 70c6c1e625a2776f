"""How far a reader is, in lines of JSON of which there are never many."""

from __future__ import annotations

import json
from collections.abc import Callable

STEP = 0.02
"""Share of a file that is read between two lines."""


class Progress:
    """Says how far it is: at most one line for each STEP of the file."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._next = 0.0

    def at(self, rows: int | None, share: float) -> None:
        """Tell that so many rows and that share of the file are read."""
        share = min(1.0, share)
        if share >= self._next:
            self._next = share + STEP
            self._say(json.dumps({"progress": {"rows": rows, "share": round(share, 3)}}))


def silent() -> Progress:
    """Return one that says nothing."""
    return Progress(lambda _: None)
