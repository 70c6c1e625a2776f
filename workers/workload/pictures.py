"""Images as numbers from 0 to 1, and as the bytes that people are shown."""

from __future__ import annotations

import base64

import numpy as np
import torch
from torch import Tensor

from whichopt.service.catalog.shapes import Shape
from whichopt.service.trials import Sample
from whichopt.workers.workload.criteria import Features

MOST = 64
"""Images that people are shown of a network."""


def from_0_to_1(features: Features, training: Features) -> Features:
    """Return features in the range that those of training have in all, as numbers from 0 to 1.

    One range serves all columns, so that a pixel that is always black stays black.
    """
    low, high = float(training.min()), float(training.max())
    scaled: Features = np.clip((features - low) / ((high - low) or 1.0), 0.0, 1.0)
    return scaled


def pictures(made: Tensor, shape: Shape) -> Sample | None:
    """Return the first examples (N, features), of numbers from 0 to 1, as images; None if they are none."""
    if shape.image is None:
        return None
    images = made[:MOST].detach().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
    content = base64.b64encode(images.numpy().tobytes()).decode("ascii")
    return Sample(kind="images", content=content, shape=(len(images), *shape.image))


def points(made: Tensor, most: int) -> Sample:
    """Return the first examples (N, 2) as points."""
    kept = made[:most].detach().cpu().float().numpy().astype("<f4")
    content = base64.b64encode(kept.tobytes()).decode("ascii")
    return Sample(kind="points", content=content, shape=kept.shape)
