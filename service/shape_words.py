"""Data in words: rows of a table, images, windows of a text, or points to be met. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.tasks import TASKS

TOKENS = ("characters", "bytes")
"""What the tokens of a text are, as its option `tokens` says."""


def count_words(task: str | None, shape: Shape) -> str:
    """Say how many examples there are, and what they are: 178 rows, 1,797 images."""
    return f"{shape.examples:,} {_kind(task, shape)}"


def examples_words(task: str | None, shape: Shape, options: Mapping[str, Any] | None = None) -> str:
    """Say how many examples there are, and what each is.

    Args:
        task: the task by its name; None for a task that is not known.
        shape: the shape of the data.
        options: those of the dataset.

    Example:
        >>> from whichopt.service.catalog.shapes import Shape
        >>> from whichopt.service.shape_words import examples_words
        >>> examples_words("classification", Shape(178, 13, 3))
        '178 rows, 13 features'
        >>> examples_words("language", Shape(1500, 64, 96, tokens=96), {"tokens": "characters"})
        '1,500 windows of 64 characters, 96 different ones'
    """
    count, kind = count_words(task, shape), _kind(task, shape)
    if kind == "windows":
        tokens = (options or {}).get("tokens")
        what = tokens if tokens in TOKENS else "tokens"
        return f"{count} of {shape.features:,} {what}, {shape.tokens:,} different ones"
    if kind == "images":
        return f"{count}, {image_words(shape)}"
    if kind == "points":
        return f"{count} in {shape.features:,} dimensions"
    return f"{count}, {shape.features:,} feature{'s' if shape.features != 1 else ''}"


def image_words(shape: Shape) -> str:
    """Say what size images have, and how many channels."""
    assert shape.image is not None
    channels, height, width = shape.image
    return f"{width} x {height}, {'gray' if channels == 1 else f'{channels} channels'}"


def of_images(task: str | None, shape: Shape) -> bool:
    """Tell if the examples are images, to people: a row for a convolution is none."""
    return _kind(task, shape) == "images"


def target_words(task: str, shape: Shape) -> str:
    """Say what is to be learned of the examples: 10 classes, or the name of the task."""
    return f"{shape.outputs} classes" if task == "classification" else task


def _kind(task: str | None, shape: Shape) -> str:
    if shape.tokens is not None:
        return "windows"
    if shape.image is not None and shape.image[1] > 1:  # of height 1 it is a row for a convolution
        return "images"
    return "points" if _of_inputs(task) else "rows"


def _of_inputs(task: str | None) -> bool:
    return any(one.of_inputs for one in TASKS if one.name == task)
