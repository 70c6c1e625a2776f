"""An array of images as whole levels from 0 to 255, one channel or three after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.workers.intake.images import Pixels
from whichopt.workers.intake.problems import Unreadable

Array = npt.NDArray[Any]

TOP = 255
CHANNELS = (1, 3)


def are_images(array: Array) -> bool:
    """Tell if an array is one of images: (N, H, W), (N, C, H, W) or (N, H, W, C)."""
    return array.ndim in (3, 4)


def channels_first(array: Array, name: str) -> Array:
    """Return the images as (N, C, H, W), with one or three channels.

    Raises:
        Unreadable: they are no such images.
    """
    if array.ndim == 3:
        array = array[:, None]
    elif array.shape[1] not in CHANNELS and array.shape[3] in CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    if array.shape[1] not in CHANNELS or 0 in array.shape:
        raise Unreadable(
            f"{name} has the shape {array.shape}; images are (N, H, W), (N, C, H, W) or (N, H, W, C), with 1 "
            "or 3 channels and at least one pixel: reshape them",
            column=name,
        )
    return array


def levels(array: Array, name: str) -> tuple[Pixels, str]:
    """Return the numbers of images as levels from 0 to 255, and say what was done to them.

    Raises:
        Unreadable: there is a number that is not finite, or what is there are no numbers.
    """
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array), "levels from 0 to 255, as they are"
    if array.dtype.kind not in "iufb":
        raise Unreadable(f"{name} has the type {array.dtype}; images are numbers: astype(float)", column=name)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise Unreadable(f"{name} has numbers that are not finite; fill them in", column=name)
    found = np.empty(array.shape, dtype=np.uint8)
    whole = low >= 0 and high <= TOP and all(bool((part == np.rint(part)).all()) for part in array)
    if whole and (high > 1 or array.dtype.kind != "f"):
        found[...] = array
        return found, "whole numbers from 0 to 255, as they are"
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    for image, part in zip(found, array, strict=True):
        image[...] = np.rint((part.astype(np.float64) - low) * (TOP / ((high - low) or 1.0)))
    return found, f"numbers from {low:g} to {high:g}, kept as 256 levels"
