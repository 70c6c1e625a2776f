"""Act 1: every trial by its validation value, one lane an optimizer."""

from __future__ import annotations

from typing import Any

from whichopt.service.pages.scene import Scene


def values(scene: Scene) -> dict[str, Any]:
    """Return what `job/search.html` is filled with."""
    progress = scene.job.progress
    return {
        "sentence": f"{progress.trials_done:,} of {progress.trials_total:,} trials are in.",
    }
