"""Images in NPZ files: every order of axes, levels and fractions, parts, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders.tables import as_npz, taken
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import TooLarge, Unreadable

N, SIDE = 24, 10
RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (N, 3, SIDE, SIDE), dtype=np.uint8)
Y = np.arange(N) % 3


@pytest.mark.parametrize(
    ("x", "image"),
    [
        (COLOR, (3, SIDE, SIDE)),
        (COLOR.transpose(0, 2, 3, 1), (3, SIDE, SIDE)),
        (COLOR[:, 0], (1, SIDE, SIDE)),
        (COLOR[:, :1], (1, SIDE, SIDE)),
        (COLOR[:, 0, :, :, None], (1, SIDE, SIDE)),
        (COLOR[:, :, :, :7], (3, SIDE, 7)),
    ],
)
def test_axes(x: np.ndarray, image: tuple[int, int, int], tmp_path: Path) -> None:
    found = taken(tmp_path, as_npz(x=x, y=Y), "npz")
    assert found.table.shape.image == image
    assert (found.table.target, found.table.classes) == ("y", ("0", "1", "2"))
    wanted = COLOR[:, : image[0], :, : image[2]]
    assert np.array_equal(found.kept.tensors()["images"], wanted)


@pytest.mark.parametrize(
    ("x", "wanted", "said"),
    [
        (COLOR.astype(np.float64), COLOR, "whole numbers from 0 to 255"),
        (COLOR.astype(np.int64), COLOR, "whole numbers from 0 to 255"),
        ((COLOR / 255).astype(np.float32), COLOR, "numbers from 0 to 1, kept as 256 levels"),
        (COLOR / 127.5 - 1, COLOR, "numbers from -1 to 1, kept as 256 levels"),
        (COLOR > 127, np.where(COLOR > 127, 1, 0), "whole numbers"),
        (np.zeros_like(COLOR, dtype=float), np.zeros_like(COLOR), "numbers from 0 to 1"),
    ],
)
def test_levels(x: np.ndarray, wanted: np.ndarray, said: str, tmp_path: Path) -> None:
    found = taken(tmp_path, as_npz(x=x, y=Y), "npz")
    assert np.array_equal(found.kept.tensors()["images"], wanted)
    assert any(said in note for note in found.table.notes)


def test_parts(tmp_path: Path) -> None:
    arrays = {f"x_{part}": COLOR for part in ("train", "val", "test")}
    found = taken(tmp_path, as_npz(**arrays, y_train=Y, y_val=Y, y_test=Y.reshape(-1, 1)), "npz")
    assert str(found.table.split) == "column:part"
    sizes = found.table.sizes
    assert (sizes.train, sizes.validation, sizes.test) == (N, N, N)
    assert found.kept.tensors()["part"].tolist() == [0] * N + [1] * N + [2] * N
    assert "look like" in found.remarked().remarks[0].what, "they are the same images"


def test_numbers_can_be_predicted_of_images(tmp_path: Path) -> None:
    found = taken(tmp_path, as_npz(x=COLOR, y=RANDOM.normal(size=N)), "npz")
    assert (found.table.task, found.table.shape.outputs) == ("regression", 1)
    assert found.kept.tensors()["target"].dtype == np.float64


def test_large_images_are_resized(tmp_path: Path) -> None:
    large = np.repeat(np.repeat(COLOR, 10, axis=2), 10, axis=3)
    assert taken(tmp_path, as_npz(x=large, y=Y), "npz").table.shape.image == (3, 32, 32)
    same = taken(tmp_path, as_npz(x=large, y=Y), "npz", size=SIDE)
    assert same.kept.tensors()["images"].shape == COLOR.shape
    assert same.table.images is not None
    assert same.table.images.resized == N


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((N, 5, SIDE, 7)), "y": Y}, r"x has the shape \(24, 5, 10, 7\)"),
        ({"x": np.zeros((N, 3, 0, 5)), "y": Y}, "at least one pixel"),
        ({"x": COLOR, "y": Y[:-1]}, "each image has one label"),
        ({"x": np.full((N, 4, 4), np.nan), "y": Y}, "not finite"),
        ({"x": np.full((N, 4, 4), "a"), "y": Y}, "images are numbers"),
        (
            {"x_train": COLOR, "y_train": Y, "x_test": COLOR[:, :, :5], "y_test": Y},
            "images of different shapes",
        ),
        ({"x_train": COLOR, "y_train": Y, "x_test": COLOR}, "array y_test is missing beside x_test"),
    ],
)
def test_what_is_no_array_of_images(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=said):
        taken(tmp_path, as_npz(**arrays), "npz")


def test_the_number_of_images_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="x has 24 images; at most 23 are allowed"):
        taken(tmp_path, as_npz(x=COLOR, y=Y), "npz", Limits(images=23))
