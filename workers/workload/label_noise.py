"""Label noise: the labels that a network is taught, of which a share is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.service.catalog.label_noise import NOISE_SEED

Labels = npt.NDArray[Any]


def mislabeled(labels: Labels, training: npt.NDArray[np.int64], share: float) -> Labels:
    """Return the labels of all examples, of which that share of the training rows has another class.

    Whether a row is mislabeled early or late, and as what, is drawn once for the whole dataset: so a row that
    trains in two divisions is wrong in nearly the same way in both, and the share of each is met.

    Args:
        labels: the classes of all examples, whole numbers from 0.
        training: the rows that are trained on; no other label changes.
        share: the share of them to mislabel.
    """
    random = np.random.default_rng(NOISE_SEED)
    draw = random.random(len(labels))
    step = random.integers(1, int(labels.max()) + 1, len(labels))
    wrong = training[np.argsort(draw[training], kind="stable")[: round(share * len(training))]]
    taught = labels.copy()
    taught[wrong] = (labels[wrong] + step[wrong]) % (int(labels.max()) + 1)
    return taught
