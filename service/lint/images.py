"""Rules on what is done to training images."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.catalog.built_in import built_in
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.augment import Crop, Flip
from whichopt.service.views import LintFinding

MOST_PADDING = 0.25
"""Share of a side beyond which a crop may cut off what an image is of: less than 9/16 of it may be left."""


def image_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find what augmentation spoils."""
    if spec.guest is not None:
        return
    workload = spec.cataloged
    for i, one in enumerate(workload.augment):
        if isinstance(one, Flip) and _handed(spec):
            yield LintFinding(
                code="flipped_signs",
                severity="warning",
                field=f"workload.augment.{i}",
                what=f"images of {workload.dataset.name} are mirrored, but are digits or letters",
                why="a mirrored 2 is no 2: half of the examples would be of no class that new images have",
                instead="leave flip out, and keep crop",
            )
        if isinstance(one, Crop) and workload.shape.image is not None:
            side = min(workload.shape.image[1:])
            if (one.padding or 0) > MOST_PADDING * side:
                yield LintFinding(
                    code="wide_crop",
                    severity="note",
                    field=f"workload.augment.{i}",
                    what=f"a crop may move an image of {side} pixels by {one.padding}",
                    why="more than a quarter of it may be cut off, and with it what it is of",
                    instead=f"set its padding to {max(1, side // 8)}",
                )


def _handed(spec: ResolvedSpec) -> bool:
    """Tell if a mirrored image of the dataset would be of another class, or of none: a sign that is read."""
    workload = spec.cataloged
    if workload.upload is not None:
        classes = workload.upload.classes
        return classes is not None and all(len(name) == 1 and name.isalnum() for name in classes)
    entry = next((one for one in built_in().datasets if one.name == workload.dataset.name), None)
    return entry is not None and entry.handed
