"""A person's own images: kept as levels from 0 to 255, standardized channel by channel.

They are kept as they came, a byte a value: 50,000 color images of 32 x 32 take 154 MB. A division makes
float32 of them once, which is 614 MB for these, and is shared by all trials with its seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import divided
from whichopt.service.uploads import Table
from whichopt.workers.intake.images import Pixels
from whichopt.workers.intake.images.folder import Folder
from whichopt.workers.intake.problems import Problem
from whichopt.workers.intake.together import CORES
from whichopt.workers.workload.criteria import Criteria
from whichopt.workers.workload.label_noise import mislabeled
from whichopt.workers.workload.stream import Examples, Splits
from whichopt.workers.workload.table import FARTHEST, Parts, Rows

Levels = npt.NDArray[np.float64]
"""What each level of each channel becomes: (channels, 256)."""

LEVELS = 256


class FolderChanged(Exception):
    """A folder of images is not as it was when it was added; the text says what differs."""


@dataclass(frozen=True)
class Images:
    """Images of one shape: `pixels` (N, channels, height, width), the target, and what its split goes by.

    `label_noise` is the share of the training labels that are replaced by another class.
    """

    table: Table
    pixels: Pixels
    target: npt.NDArray[Any]
    split_by: Mapping[str, npt.NDArray[Any]]
    label_noise: float = 0.0

    @property
    def nbytes(self) -> int:
        arrays: tuple[npt.NDArray[Any], ...] = (self.pixels, self.target, *self.split_by.values())
        return sum(array.nbytes for array in arrays)

    def parts(self, criteria: Criteria, sizes: Sizes, seed: int) -> Parts:
        """Return the rows of training, validation and test that `seed` draws."""
        strata = criteria.strata(self.target)
        return divided(self.table.split, strata, self.table.rows, sizes, seed, **self.split_by)

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:
        """Return the splits that `seed` draws, scaled by what their training images tell."""
        parts = self.parts(criteria, sizes, seed)
        levels = self._levels(parts[0], criteria)
        return Splits(*(self._examples(part, parts[0], levels, criteria, device) for part in parts))

    def examples(self, rows: Rows, training: Rows, criteria: Criteria, device: torch.device) -> Examples:
        """Return the images of those rows, scaled by what the training images tell."""
        return self._examples(rows, training, self._levels(training, criteria), criteria, device)

    def _levels(self, training: Rows, criteria: Criteria) -> Levels:
        counts = level_counts(self.pixels, training)
        return standard_levels(counts) if criteria.scaled is None else scaled_levels(counts, criteria)

    def _examples(
        self, rows: Rows, training: Rows, levels: Levels, criteria: Criteria, device: torch.device
    ) -> Examples:
        inputs = _looked_up(self.pixels, rows, levels)
        taught = mislabeled(self.target, training, self.label_noise) if self.label_noise else self.target
        targets, unit = criteria.targets(taught[rows], taught[training], inputs)
        return Examples(inputs.to(device), targets.to(device), unit)


def level_counts(pixels: Pixels, rows: Rows) -> npt.NDArray[np.int64]:
    """Return how often each level stands in each channel of those images: (channels, 256)."""
    counts = np.zeros((pixels.shape[1], LEVELS), dtype=np.int64)
    for row in rows:
        for channel, values in enumerate(pixels[row]):
            counts[channel] += np.bincount(values.reshape(-1), minlength=LEVELS)
    return counts


def standard_levels(counts: npt.NDArray[np.int64]) -> Levels:
    """Return each level less its channel's mean, over its standard deviation, within ± FARTHEST.

    A channel that is constant becomes 0 throughout. Mean and deviation are exact up to their last rounding,
    as they come from counts.
    """
    mean, deviation = (each[:, None] for each in standard_scale(counts))
    scaled = (np.arange(LEVELS) - mean) / np.where(deviation == 0, np.inf, deviation)
    bounded: Levels = np.clip(scaled, -FARTHEST, FARTHEST)
    return bounded


def standard_scale(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and standard deviation of each channel."""
    level = np.arange(LEVELS)
    total = counts.sum(axis=1)
    mean = (counts * level).sum(axis=1) / total
    deviation = np.sqrt((counts * (level - mean[:, None]) ** 2).sum(axis=1) / total)
    return mean, deviation


def scaled_levels(counts: npt.NDArray[np.int64], criteria: Criteria) -> Levels:
    """Return what the task's own scale makes of each level.

    It is given a column for each channel: all levels as features, and as those of training the least and the
    greatest level that the channel has there.
    """
    assert criteria.scaled is not None
    present = [np.flatnonzero(of_channel) for of_channel in counts]
    ends = np.array([[levels.min() for levels in present], [levels.max() for levels in present]])
    every = np.repeat(np.arange(LEVELS, dtype=np.float64)[:, None], len(counts), axis=1)
    scaled: Levels = criteria.scaled(every, ends.astype(np.float64)).T
    return scaled


def _looked_up(pixels: Pixels, rows: Rows, levels: Levels) -> Tensor:
    """Return the images of those rows as features (N, channels * height * width)."""
    _, channels, height, width = pixels.shape
    made = np.empty((len(rows), channels, height * width), dtype=np.float32)
    table = levels.astype(np.float32)
    for row, features in zip(rows, made, strict=True):
        for channel, values in enumerate(pixels[row]):
            np.take(table[channel], values.reshape(-1), out=features[channel])
    return torch.from_numpy(made.reshape(len(rows), channels * height * width))


# -- a folder that is read where it lies ---------------------------------------------------------------


def of_folder(
    table: Table, paths: npt.NDArray[np.uint8], digests: npt.NDArray[np.uint8], root: Path
) -> Pixels:
    """Return the pixels of a folder under `root`, if each file is the one that was added.

    A worker decodes nothing but bytes that the reader of files has decoded before.

    Args:
        table: what was found in it.
        paths: the paths of its files, as JSON.
        digests: the SHA-256 of each (N, 32).
        root: the folder in which it lies.

    Raises:
        FolderChanged: it is not as it was.
    """
    from whichopt.workers.intake.images import decoded  # Pillow takes a while, and few jobs need it

    facts, shape = table.images, table.shape.image
    assert facts is not None
    assert facts.folder is not None
    assert shape is not None
    wanted = [tuple(path) for path in json.loads(paths.tobytes())]
    try:
        folder = Folder(root / facts.folder, root, len(wanted) + 1)
        if folder.files != wanted:
            odd = sorted(set(folder.files) ^ set(wanted))
            raise FolderChanged(f"{'/'.join(odd[0])} is {'new' if odd[0] in folder.files else 'gone'}")
        channels, height, width = shape
        pixels = np.empty((len(wanted), channels, height, width), dtype=np.uint8)

        def decode(i: int) -> None:
            path = "/".join(wanted[i])
            data = folder.read(wanted[i])
            if hashlib.sha256(data).digest() != digests[i].tobytes():
                raise FolderChanged(f"{path} is another file")
            pixels[i] = decoded.pixels(data, path, width, height, gray=channels == 1)

        with ThreadPoolExecutor(CORES) as pool:
            for _ in pool.map(decode, range(len(wanted))):
                pass
    except Problem as error:
        raise FolderChanged(error.detail) from None
    if hashlib.sha256(pixels.data).hexdigest() != facts.pixels:
        raise FolderChanged(
            "this worker decodes its images to other pixels; give all the same version of Pillow"
        )
    return pixels
