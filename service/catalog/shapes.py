"""The shape of a dataset, and the sizes of its splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class Shape:
    """The shape of a dataset as a model sees it.

    `features` are the numbers of an example, and `outputs` what is to be learned of it: the number of
    classes, or of targets. `image` is (channels, height, width). Of a text, an example is a window of
    `features` tokens, each one of `tokens` that there are.
    """

    examples: int
    features: int
    outputs: int
    image: tuple[int, int, int] | None = None
    tokens: Annotated[int | None, Field(exclude_if=lambda tokens: tokens is None)] = None


@dataclass(frozen=True)
class Sizes:
    """Examples in each split."""

    train: int
    validation: int
    test: int
