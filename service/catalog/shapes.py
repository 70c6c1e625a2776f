"""The shape of a dataset, and the sizes of its splits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """`outputs` is the number of classes, or of regression targets; `image` is (channels, height, width)."""

    examples: int
    features: int
    outputs: int
    image: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Sizes:
    """Examples in each split."""

    train: int
    validation: int
    test: int
