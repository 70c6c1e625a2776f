"""Common mistakes that images show: they are said, and change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.service.uploads import Remark
from whichopt.workers.intake.images import Pixels
from whichopt.workers.intake.problems import shown

Mask = npt.NDArray[np.bool_]

BLOCKS = 8
"""Blocks of an image by width and by height, whose means make its signature."""
LEVELS = 32
"""Levels of a mean in a signature: 8 of 256. No two photographs agree in all 64 of them by chance."""
FLAT = 4
"""Levels that the blocks of an image differ by, below which it shows so little (a piece of sky) that others
look like it by chance: it is a duplicate only of one with the same pixels."""
UNEQUAL = 10
"""Times as many images as the smallest class from which on a class is much larger."""


def remarks(
    pixels: Pixels,
    labels: npt.NDArray[Any],
    outside: Mask,
    names: Sequence[str] | None,
    classes: Sequence[str] | None,
) -> list[Remark]:
    """Return the remarks on images.

    Args:
        pixels: the images (N, C, H, W).
        labels: the class of each, or what else is predicted.
        outside: those outside the test part.
        names: the name of each one's file; None if they have none.
        classes: the names of the classes; None if there are none.
    """
    return [*_repeated(pixels, outside, names), *([] if classes is None else _unequal(labels))]


def signatures(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return the mean of 8 by 8 blocks of each image, in few levels (N, 64): alike if they look alike."""
    count, _, height, width = pixels.shape
    rows = np.linspace(0, height, min(BLOCKS, height) + 1).astype(int)
    columns = np.linspace(0, width, min(BLOCKS, width) + 1).astype(int)
    means = np.empty((count, len(rows) - 1, len(columns) - 1), dtype=np.float32)
    for i in range(len(rows) - 1):
        strip = pixels[:, :, rows[i] : rows[i + 1]].mean(axis=(1, 2), dtype=np.float32)
        for j in range(len(columns) - 1):
            means[:, i, j] = strip[:, columns[j] : columns[j + 1]].mean(axis=1)
    return (means.reshape(count, -1) * (LEVELS / 256)).astype(np.uint8)


def _repeated(pixels: Pixels, outside: Mask, names: Sequence[str] | None) -> list[Remark]:
    """Find images of the test part that look like one of another part."""
    first = dict[bytes, int]()
    marks = signatures(pixels)
    flat = np.ptp(marks, axis=1) < FLAT
    found = [(pixels if is_flat else marks)[i].tobytes() for i, is_flat in enumerate(flat.tolist())]
    for i in np.flatnonzero(outside).tolist():
        first.setdefault(found[i], i)
    test = np.flatnonzero(~outside).tolist()
    pairs = [(i, first[found[i]]) for i in test if found[i] in first]
    if not pairs:
        return []
    one, other = pairs[0]
    such = f", such as {shown(names[one], 120)} and {shown(names[other], 120)}" if names is not None else ""
    return [
        Remark(
            code="duplicate_rows",
            what=f"{len(pairs):,} of {len(test):,} test images look like one in training or validation{such}",
            why="a model that learned them by heart scores better on the test part than on new images",
            instead="remove the duplicates, or put what belongs together into one of train/, val/, test/",
        )
    ]


def _unequal(labels: npt.NDArray[Any]) -> list[Remark]:
    counts = np.bincount(labels)
    if counts.max() < UNEQUAL * counts.min():
        return []
    return [
        Remark(
            code="unequal_classes",
            what=f"the largest class has {counts.max():,} images, the smallest {counts.min():,}",
            why="the rare classes hardly count in the loss and in accuracy",
            instead="select by metric=balanced_accuracy; class_weight=balanced gives each class the same "
            "weight in training",
        )
    ]
