"""What the networks of a job's finalists make: read when it is looked at, and only what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whichopt.service.made import TITLES, Made, made, parted, shared_extent
from whichopt.service.pages.job.scene import Scene
from whichopt.service.samples import Maker
from whichopt.service.views import Recommendation


def values(shown: Scene, found: Recommendation) -> dict[str, Any]:
    """Return what `job/made.html` is filled with; no samples if the job's networks make nothing."""
    makers = makers_of(shown)
    if not makers:
        return {"made": []}
    first, others = parted(makers, found)
    title = TITLES[makers[0].kind]
    return {"made": shown_of(shown, found, makers, first), "made_others": len(others), "made_title": title}


def makers_of(shown: Scene) -> list[Maker]:
    """Return the finalists that have made something."""
    with shown.store.read() as tx:
        return tx.samples.makers(shown.job_id)


def shown_of(
    shown: Scene, found: Recommendation, makers: Sequence[Maker], wanted: Sequence[Maker]
) -> list[Made]:
    """Return samples as they are shown; those of points share the axes of all finalists."""
    of_points = [one.trial for one in makers if one.kind == "points"]
    with shown.store.read() as tx:
        known = tx.samples.of(shown.job_id, [*of_points, *(one.trial for one in wanted)])
    extent = shared_extent(known)
    return [
        made(maker, known[maker.trial], found, shown.tones, extent, name=f"made-{makers.index(maker)}")
        for maker in wanted
    ]
