"""Samples of networks: read as points, one picture, or text that shows everything."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.builders.made import images_sample, points_sample, text_sample
from whichopt.service import samples
from whichopt.service.trials import Sample


def test_points_are_read_as_they_were_written() -> None:
    (x, y), *_ = samples.points(points_sample(radius=2.0))
    assert (x, y) == pytest.approx((1.9, 0.05))  # the first spot lies at the right, off by its own share


def test_points_that_are_not_finite_are_left_out() -> None:
    content = np.array([[1, 2], [np.nan, 0], [np.inf, 0]], dtype="<f4").tobytes()
    sample = Sample(kind="points", content=base64.b64encode(content).decode(), shape=(3, 2))
    assert samples.points(sample) == [(1.0, 2.0)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 5, 64])
def test_images_become_one_picture(channels: int, count: int) -> None:
    sample = images_sample(count, channels=channels, size=6)
    picture = Image.open(io.BytesIO(samples.png(sample)))
    picture.load()
    assert picture.size == samples.size(sample)
    assert picture.mode == ("LA" if channels == 1 else "RGBA")
    pixels = np.asarray(picture)
    whole = np.frombuffer(base64.b64decode(sample.content), dtype=np.uint8).reshape(sample.shape)
    columns = -(-picture.size[0] // 7)
    for i in range(count):
        top, left = 7 * (i // columns), 7 * (i % columns)
        inside = pixels[top : top + 6, left : left + 6]
        assert (inside[..., :-1] == whole[i].transpose(1, 2, 0)).all()
        assert (inside[..., -1] == 255).all()
    assert (pixels[..., -1] == 255).sum() == count * 36  # all else is seen through


def test_text_shows_what_is_not_seen() -> None:
    assert samples.text(text_sample("a\tb\x00c\r\n\x7f\u202e\u200bé漢\ud800")) == (
        "a\\tb\\x00c\\r\n\\x7f\\u202e\\u200bé漢\\ud800"
    )


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (Sample(kind="points", content="!", shape=(1, 2)), "no base64"),
        (Sample(kind="points", content="AAAA", shape=(1, 2)), "3 bytes"),
        (Sample(kind="points", content="AAAA", shape=(1, 3)), "shape"),
        (Sample(kind="points", content="", shape=(0, 2)), "shape"),
        (Sample(kind="points", content="", shape=()), "shape"),
        (Sample(kind="images", content="AAAA", shape=(1, 3, -1, -1)), "shape"),
        (images_sample(1, channels=2), "shape"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said(sample: Sample, says: str) -> None:
    assert says in str(samples.problem(sample))


@pytest.mark.parametrize("sample", [points_sample(), images_sample(), text_sample("plain")])
def test_a_small_sample_is_kept_as_it_is(sample: Sample) -> None:
    assert samples.bounded(sample) == sample
    assert samples.problem(sample) is None


def test_a_large_sample_is_cut_to_its_first_part() -> None:
    points = samples.bounded(points_sample(10_000))
    assert samples.points(points) == samples.points(points_sample(10_000))[: samples.MOST_POINTS]
    images = samples.bounded(images_sample(64, channels=3, size=64))
    assert images.shape == (5, 3, 64, 64)
    assert samples.problem(images) is None
    large = samples.bounded(images_sample(2, channels=3, size=224))
    assert large.shape[0] == 1
    for letter in "x\x00":
        assert len(samples.bounded(text_sample(letter * 10_000)).content) == samples.MOST_CHARACTERS


def test_text_is_recorded_as_it_is_shown() -> None:
    recorded = samples.bounded(text_sample("a\x00b\ud800\nc"))
    assert recorded.content == "a\\x00b\\ud800\nc"
    assert samples.text(recorded) == recorded.content
