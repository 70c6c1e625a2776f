"""How the work on a table is cut: over cores, and into rows that fit into a processor's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator

CORES = min(4, os.cpu_count() or 1)
"""Cores that a reader uses."""

ROWS = 4096
"""Rows that are worked on at once: those of most tables stay in the cache meanwhile."""


def slices(rows: int) -> Iterator[slice]:
    """Yield all rows, some at a time."""
    return (slice(start, start + ROWS) for start in range(0, rows, ROWS))
