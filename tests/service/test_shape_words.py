"""Data of every kind in words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.catalogs import MEETING
from whichopt.service.catalog.shapes import Shape
from whichopt.service.shape_words import count_words, examples_words, target_words

TEXT = Shape(1500, 64, 96, tokens=96)


@pytest.mark.parametrize(
    ("shape", "options", "said"),
    [
        (Shape(178, 13, 3), {}, "178 rows, 13 features"),
        (Shape(500, 1, 1), {}, "500 rows, 1 feature"),
        (Shape(1797, 64, 10, image=(1, 8, 8)), {}, "1,797 images, 8 x 8, gray"),
        (Shape(50_000, 3072, 10, image=(3, 32, 32)), {}, "50,000 images, 32 x 32, 3 channels"),
        (Shape(5000, 40, 10, image=(1, 1, 40)), {}, "5,000 rows, 40 features"),
        (TEXT, {"tokens": "characters"}, "1,500 windows of 64 characters, 96 different ones"),
        (TEXT, {"tokens": "bytes"}, "1,500 windows of 64 bytes, 96 different ones"),
        (TEXT, {}, "1,500 windows of 64 tokens, 96 different ones"),
    ],
    ids=str,
)
def test_the_examples(shape: Shape, options: dict[str, Any], said: str) -> None:
    assert examples_words("classification", shape, options) == said
    assert said.startswith(count_words(None, shape))


def test_what_is_learned() -> None:
    assert target_words("classification", Shape(178, 13, 3)) == "3 classes"
    assert target_words(MEETING.name, Shape(178, 13, 3)) == "meeting"
