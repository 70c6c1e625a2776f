"""The tensors that are kept of images: the pixels; or of a folder, what pins it and a few to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.service.uploads import SHOWN_CLASSES, SHOWN_IMAGES
from whichopt.workers.intake.images import Pixels
from whichopt.workers.intake.raw import Images

CLASS = "class"
"""The column of what is predicted of images by their folders."""


def image_shape(pixels: Pixels) -> tuple[int, int, int]:
    """Return channels, height and width."""
    _, channels, height, width = pixels.shape
    return channels, height, width


def tensors(images: Images, labels: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors by name: `images` (N, C, H, W), or of a folder `paths`, `digests`, and of the images
    to look at `shown` (K, C, H, W) and the rows `shown_rows` (K,)."""
    if images.pinned is None:
        return {"images": images.pixels}
    rows = np.concatenate([np.flatnonzero(labels == one)[:SHOWN_IMAGES] for one in range(SHOWN_CLASSES)])
    return {**images.pinned, "shown": images.pixels[rows], "shown_rows": rows.astype(np.int64)}
