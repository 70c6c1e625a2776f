"""Act 3: what to use, how sure we are, and what it cost."""

from __future__ import annotations

from typing import Any

from whichopt.service.pages.scene import Scene


def values(scene: Scene) -> dict[str, Any]:
    """Return what `job/verdict.html` is filled with."""
    with scene.store.read() as tx:
        row = tx.views.recommendation(scene.job.id)
    found = None if row is None else row[1]
    return {"sentence": "" if found is None else found.statement, "recommendation": found}
