"""What becomes of images before a network sees them, as data: learned of training images, and saved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.spec import ResolvedWorkload
from whichopt.workers.fit.preparation import NotRows, Target, target_of
from whichopt.workers.workload import Examples
from whichopt.workers.workload.images import Images, level_counts, standard_scale
from whichopt.workers.workload.tasks import CRITERIA

Chosen = npt.NDArray[np.int64]


class ImagePreparation(BaseModel):
    """All that is needed to turn image files into a network's inputs, and its outputs into answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int
    height: int
    width: int
    mean: tuple[float, ...] = Field(description="Mean level of each channel, from 0 to 255.")
    deviation: tuple[float, ...] = Field(description="Its standard deviation; 0 if all are alike.")
    target: Target


class ImageData:
    """The images of a workload as they were loaded, and what is to be predicted of them."""

    def __init__(self, spec: ResolvedWorkload, loaded: Images) -> None:
        self.criteria = CRITERIA[spec.task]
        if self.criteria.scaled is not None or self.criteria.answer is not None:
            raise NotRows(f"{spec.task} predicts nothing of an image")
        self.spec = spec
        self.loaded = loaded

    def training(self, seed: int) -> Chosen:
        """Return the training images that `seed` draws."""
        return self.loaded.parts(self.criteria, self.spec.sizes, seed)[0]

    def all(self) -> Chosen:
        """Return all images."""
        return np.arange(len(self.loaded.target))

    def preparation(self, training: Chosen) -> ImagePreparation:
        """Return what those images tell; no other is looked at."""
        mean, deviation = standard_scale(level_counts(self.loaded.pixels, training))
        _, channels, height, width = self.loaded.pixels.shape
        return ImagePreparation(
            channels=channels,
            height=height,
            width=width,
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
            target=target_of(self.spec, self.criteria, self.loaded.target, training),
        )

    def examples(self, training: Chosen, device: torch.device) -> Examples:
        """Return those images as a network sees them that is trained on them."""
        return self.loaded.examples(training, training, self.criteria, device)
