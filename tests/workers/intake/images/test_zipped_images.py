"""A zip of images by class: what becomes of sizes, colors, folders and what lies beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.builders.images import SIDE, encoded, files, picture, zip_of
from tests.builders.tables import taken
from whichopt.service.splits import divided
from whichopt.service.uploads import Role, Table


def read(folder: Path, entries: Any, **choices: Any) -> tuple[Table, dict[str, np.ndarray]]:
    found = taken(folder, zip_of(entries), "zip", **choices)
    return found.table, found.kept.tensors()


def test_a_folder_is_a_class(tmp_path: Path) -> None:
    table, kept = read(tmp_path, files(each=12))
    assert (table.task, table.target, table.classes, table.class_rows) == (
        *("classification", "class"),
        *(("dark", "light"), (12, 12)),
    )
    assert (table.rows, table.shape.features, table.shape.image) == (24, 3 * SIDE**2, (3, SIDE, SIDE))
    assert kept["images"].dtype == np.uint8
    assert kept["images"].shape == (24, 3, SIDE, SIDE)
    assert kept["target"].tolist() == [0] * 12 + [1] * 12
    assert np.array_equal(kept["images"][0], picture(60, seed=6000).transpose(2, 0, 1))
    assert (table.sizes.train, table.sizes.validation, table.sizes.test) == (14, 5, 5)
    assert table.images is not None
    assert (table.images.resized, table.images.folder) == (0, None)


def test_neither_the_order_of_the_zip_nor_a_folder_around_it_changes_a_byte(tmp_path: Path) -> None:
    plain = files(each=8)
    ways = [plain, dict(reversed(plain.items())), files(each=8, top="my-images/")]
    contents = set()
    for i, entries in enumerate(ways):
        folder = tmp_path / str(i)
        folder.mkdir()
        contents.add(taken(folder, zip_of(entries), "zip").keep(folder)[1])
    assert len(contents) == 1


@pytest.mark.parametrize("validation", ["val", "Validation"])
def test_folders_of_parts_are_the_split(tmp_path: Path, validation: str) -> None:
    entries = {
        **files(each=6, top="data/train/"),
        **files(each=2, top=f"data/{validation}/"),
        **files(each=3, top="data/test/"),
    }
    table, kept = read(tmp_path, entries)
    assert str(table.split) == "column:part"
    assert (table.sizes.train, table.sizes.validation, table.sizes.test) == (12, 4, 6)
    parts = divided(table.split, kept["target"], table.rows, table.sizes, 5, given=kept["part"])
    assert [set(kept["part"][rows].tolist()) for rows in parts] == [{0}, {1}, {2}]
    assert [column.role for column in table.columns] == [Role.TARGET, Role.SPLIT]
    assert not {"dark", "light"} ^ set(table.classes or ())


def test_a_lone_folder_called_train_is_no_split(tmp_path: Path) -> None:
    table, _ = read(tmp_path, files(each=8, top="train/"))
    assert str(table.split) == "random"


@pytest.mark.parametrize(
    ("sides", "size", "side", "resized"),
    [
        ([20], None, 20, 0),
        ([64], None, 64, 0),
        ([65], None, 32, 12),
        ([20, 24], None, 32, 12),
        ([32, 24], None, 32, 6),
        ([20, 24], 16, 16, 12),
        ([16], 16, 16, 0),
    ],
)
def test_images_get_one_size(
    tmp_path: Path, sides: list[int], size: int | None, side: int, resized: int
) -> None:
    entries = {
        f"{name}/{i}.png": encoded(picture(shade, seed=i, side=sides[i % len(sides)]))
        for name, shade in (("a", 50), ("b", 200))
        for i in range(6)
    }
    table, kept = read(tmp_path, entries, size=size)
    assert kept["images"].shape == (12, 3, side, side)
    assert table.images is not None
    assert table.images.resized == resized
    assert (table.images.smallest, table.images.largest) == ((min(sides),) * 2, (max(sides),) * 2)
    assert any(f"{side} x {side}" in note for note in table.notes)
    means = kept["images"].mean(axis=(1, 2, 3))
    assert means[:6] == pytest.approx([50] * 6, abs=5), "a resized image is the same one"
    assert means[6:] == pytest.approx([200] * 6, abs=5)


def test_gray_stays_gray_if_all_are(tmp_path: Path) -> None:
    gray = files(each=6, channels=1)
    table, kept = read(tmp_path, gray)
    assert table.shape.image == (1, SIDE, SIDE)
    assert np.array_equal(kept["images"][0, 0], picture(60, seed=6000, channels=1))
    mixed, colored = read(tmp_path, {**gray, "light/x.png": encoded(picture(190))})
    assert mixed.shape.image == (3, SIDE, SIDE)
    assert np.array_equal(colored["images"][0, 0], colored["images"][0, 2])


def _one(tmp_path: Path, file: bytes, gray: bool = False) -> np.ndarray:
    entries = files(each=6, channels=1 if gray else 3)
    _, kept = read(tmp_path, {**entries, "dark/0.png": file})
    first: np.ndarray = kept["images"][0]
    return first


def test_modes_of_png(tmp_path: Path) -> None:
    image = Image.fromarray(picture(60, seed=6000))
    clear = image.copy()
    clear.putalpha(Image.fromarray(picture(128, channels=1)))
    assert np.array_equal(_one(tmp_path, encoded(clear)), np.asarray(image).transpose(2, 0, 1)), "alpha goes"
    palette = image.convert("P")
    palette.info["transparency"] = bytes(range(256))
    wanted = np.asarray(image.convert("P").convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(_one(tmp_path, encoded(palette, transparency=bytes(range(256)))), wanted)
    deep = Image.fromarray((picture(60, channels=1).astype(np.uint16) << 8) + 255)
    assert np.array_equal(_one(tmp_path, encoded(deep), gray=True)[0], picture(60, channels=1))
    bits = Image.fromarray(picture(128, channels=1)).convert("1")
    assert set(np.unique(_one(tmp_path, encoded(bits), gray=True))) == {0, 255}


def test_modes_of_jpeg(tmp_path: Path) -> None:
    image = Image.fromarray(picture(60, side=SIDE))
    for mode in ("RGB", "CMYK", "L"):
        found = _one(tmp_path, encoded(image.convert(mode), "JPEG", quality=95))
        assert found.mean() == pytest.approx(60, abs=8), mode


def test_exif_turns_an_image_upright(tmp_path: Path) -> None:
    image = np.full((SIDE, SIDE, 3), 30, dtype=np.uint8)
    image[:, : SIDE // 2] = 220  # light on its left
    exif = Image.Exif()
    exif[0x0112] = 6  # is to be turned by a quarter, to the right
    found = _one(tmp_path, encoded(image, "JPEG", exif=exif, quality=95))
    assert found[:, : SIDE // 2].mean() > 200, "light on top"
    assert found[:, SIDE // 2 :].mean() < 60


def test_what_systems_leave_behind_is_left_out_and_said(tmp_path: Path) -> None:
    beside = {
        "__MACOSX/dark/._0.png": b"x",
        "dark/.DS_Store": b"x",
        ".git/config": b"x",
        "dark/Thumbs.db": b"x",
        "light/": b"",
    }
    table, _ = read(tmp_path, {**files(each=6), **beside})
    assert table.rows == 12
    assert "4 hidden files that systems leave behind are left out" in table.notes


def test_names_of_classes_stay_as_they_are(tmp_path: Path) -> None:
    entries = {
        f"{name}/{i}.png": encoded(picture(90, seed=i))
        for name in ("1", "01", "yes", "été")
        for i in range(5)
    }
    table, _ = read(tmp_path, entries)
    assert set(table.classes or ()) == {"1", "01", "yes", "été"}


def test_duplicates_over_the_split_and_unequal_classes_are_remarked(tmp_path: Path) -> None:
    entries = {**files(each=6, top="train/"), **files(each=3, top="test/")}
    entries["test/dark/1.png"] = encoded(picture(60, seed=999))
    for i in range(60):
        entries[f"train/dark/more-{i}.png"] = encoded(picture(60, seed=5000 + i))
    found = {one.code: one for one in taken(tmp_path, zip_of(entries), "zip").remarked().remarks}
    assert "5 of 6 test images look like one in training or validation" in found["duplicate_rows"].what
    assert "'test/dark/0.png' and 'train/dark/0.png'" in found["duplicate_rows"].what
    assert "unequal_classes" not in found
    del entries["train/light/5.png"]
    entries |= {f"train/dark/{i}.png": encoded(picture(60, seed=9000 + i)) for i in range(100, 130)}
    found = {one.code: one for one in taken(tmp_path, zip_of(entries), "zip").remarked().remarks}
    assert "the largest class has 99 images, the smallest 8" in found["unequal_classes"].what
