"""Which test examples are kept, and how their values are written."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from whichopt.service.by_example import MOST_EXAMPLES, kept_count, kept_examples, read, written


@pytest.mark.parametrize("size", [1, 36, MOST_EXAMPLES])
def test_all_examples_of_a_small_split_are_kept(size: int) -> None:
    assert kept_examples(size).tolist() == list(range(size))
    assert kept_count(size) == size


def test_of_a_large_split_a_fixed_draw_is_kept_that_favors_no_place() -> None:
    kept = kept_examples(50_000)
    assert len(set(kept.tolist())) == len(kept) == kept_count(50_000) == MOST_EXAMPLES
    assert (np.diff(kept) > 0).all()
    # Of a random fifth, each tenth of the split has 1,000 with a standard deviation of 27.
    counts = np.bincount(kept // 5000, minlength=10)
    assert abs(counts - 1000).max() < 5 * 27
    # Reports have been written by this draw: another one would be another rule.
    assert kept[:5].tolist() == [2, 4, 6, 32, 33]


def test_values_are_little_endian_float32_in_base64() -> None:
    text = written([0.5, -1.0, 3.0e-8])
    assert text is not None
    assert base64.b64decode(text)[:4] == b"\x00\x00\x00\x3f"
    assert read(text).tolist() == [0.5, -1.0, float(np.float32(3.0e-8))]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_a_value_that_is_no_finite_float32_leaves_none(value: float) -> None:
    assert written([0.0, value]) is None


@pytest.mark.parametrize("text", ["?", "\u00e9\u00e9\u00e9\u00e9", base64.b64encode(b"12345").decode()])
def test_what_holds_no_values_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="values by example"):
        read(text)


def test_a_signaling_nan_is_read_as_one_without_a_warning() -> None:
    assert np.isnan(read(base64.b64encode(b"\x01\x00\x80\x7f").decode())).all()
