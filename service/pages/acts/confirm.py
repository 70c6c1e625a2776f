"""Act 2: fresh seeds, look by look."""

from __future__ import annotations

from typing import Any

from whichopt.service.pages.scene import Scene


def values(scene: Scene) -> dict[str, Any]:  # noqa: ARG001
    """Return what `job/confirm.html` is filled with."""
    return {"sentence": "The finalists are trained again on fresh seeds."}
