"""MNIST-1D (Greydanus and Kobak 2020, arXiv 2011.14439), drawn by its seed and in its order.

Ten curves of 12 points are padded, stretched, scaled, moved, covered by noise where they are flat, sheared,
and read at 40 places. Its own package draws the same numbers, but needs matplotlib and requests, and tries a
download first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from whichopt.service.catalog.dataset_entry import DatasetOptions
from whichopt.workers.workload.table import Table

Curve = npt.NDArray[np.float64]

SEED = 42
EXAMPLES_OF_A_CLASS = 500
LEAST_PADDING, MOST_PADDING = 36, 60
LENGTH, PLACES = 72, 40
"""Points of a curve once it is stretched, and numbers of an example."""
SCALING, SHEARING = 0.4, 0.75
MOST_MOVED = 48
COARSE, SMOOTH, FINE = 0.25, 2.0, 0.02
"""Standard deviation of the noise where the curve is flat, what it is smoothed over, and that of the noise on
every point."""
NEARLY_NOTHING = 1e-8
"""Added to a curve before it is padded, so that only the padding is flat."""

CURVES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
"""How high the pen is at 12 moments of writing each digit."""


def mnist1d(_: DatasetOptions) -> Table:
    """Return the examples (5000, 40), of mean 0 and standard deviation 1 in all, and their digits (5000,)."""
    random = np.random.RandomState(SEED)
    drawn = [_example(curve, random) for curve in _curves() for _ in range(EXAMPLES_OF_A_CLASS)]
    mixed = random.permutation(len(drawn))
    features = np.stack(drawn)[mixed]
    labels = np.repeat(np.arange(len(CURVES)), EXAMPLES_OF_A_CLASS)[mixed]
    return Table((features - features.mean()) / features.std(), labels)


def _curves() -> Curve:
    """The curves (10, 12) of mean 0 and standard deviation 1, begun at 0 and made six times smaller."""
    curves = np.array(CURVES, dtype=np.float64)
    curves -= curves.mean(axis=1, keepdims=True)
    curves /= curves.std(axis=1, keepdims=True)
    begun: Curve = (curves - curves[:, :1]) / 6.0
    return begun


def _example(curve: Curve, random: np.random.RandomState) -> Curve:
    """An example of the curve (40,); the draws come in the order of the original."""
    padding = LEAST_PADDING + int(random.rand() * (MOST_PADDING - LEAST_PADDING + 1))
    padded = np.concatenate([curve + NEARLY_NOTHING, np.zeros(padding)])
    stretched = _read_at(padded, LENGTH) * (1 + SCALING * (random.rand() - 0.5))
    moved = np.roll(stretched, random.choice(MOST_MOVED))
    coarse = gaussian_filter1d(COARSE * random.randn(LENGTH), SMOOTH)
    noisy = np.where(moved != 0, moved, coarse) + FINE * random.randn(LENGTH)
    sheared = noisy - SHEARING * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, LENGTH)
    return _read_at(sheared, PLACES)


def _read_at(curve: Curve, places: int) -> Curve:
    """The curve at so many places of equal distance, with straight lines between its points."""
    found: Curve = np.interp(np.linspace(0, 1, places), np.linspace(0, 1, len(curve)), curve)
    return found
