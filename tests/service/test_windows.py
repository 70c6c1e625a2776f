"""The windows of a text: counted by the service, divided by workers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import RANDOM, sizes_of
from whichopt.service.windows import count_of, divided


@given(st.integers(5, 400), st.integers(0, 2**32))
def test_each_window_is_in_one_part_and_test_is_the_end(windows: int, seed: int) -> None:
    sizes = sizes_of(RANDOM, windows)
    train, validation, test = divided(sizes, seed)
    assert Sizes(len(train), len(validation), len(test)) == sizes
    assert sorted(np.concatenate([train, validation, test]).tolist()) == list(range(windows))
    assert test.tolist() == list(range(windows - sizes.test, windows))


@given(st.integers(5, 400), st.integers(0, 2**32))
def test_validation_is_one_stretch_and_training_what_lies_around_it(windows: int, seed: int) -> None:
    sizes = sizes_of(RANDOM, windows)
    train, validation, _ = divided(sizes, seed)
    rest = sizes.train + sizes.validation
    for part in (train, validation):
        assert ((np.diff(part) % rest) == 1).all()
    assert (validation[-1] + 1) % rest == train[0]


def test_another_seed_validates_elsewhere() -> None:
    sizes = sizes_of(RANDOM, 500)
    begins = {int(divided(sizes, seed)[1][0]) for seed in range(20)}
    assert len(begins) > 10


@given(st.integers(0, 1000), st.integers(1, 100))
def test_windows_take_one_token_more_than_they_are_long(tokens: int, length: int) -> None:
    windows = count_of(tokens, length)
    assert windows * length + 1 <= max(1, tokens) < (windows + 1) * length + 2
