"""Hostile images end in a problem that names the file and says what to do; none of them costs much."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.builders.images import claiming_png, encoded, files, folder_of, picture, zip_of
from tests.builders.tables import read_by_process, taken
from whichopt.service.uploads import Choices
from whichopt.workers.intake.images.folder import Folder
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import Problem, TooLarge, Unreadable
from whichopt.workers.intake.taken import take

GOOD = files(each=6)
PNG = encoded(picture(60))
JPEG = encoded(picture(60, side=40), "JPEG")


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def broken(png: bytes) -> bytes:
    """Return the PNG with the middle of its pixels overwritten."""
    return png[: len(png) // 2] + b"\0" * 40 + png[len(png) // 2 + 40 :]


HOSTILE: dict[str, tuple[Any, str, str]] = {
    "bomb": ({**GOOD, "dark/big.png": claiming_png(50_000, 50_000)}, "dark/big.png", "50,000 x 50,000"),
    "truncated": ({**GOOD, "dark/cut.jpg": JPEG[: len(JPEG) // 2]}, "dark/cut.jpg", "damaged"),
    "header": ({**GOOD, "dark/cut.jpg": JPEG[:30]}, "dark/cut.jpg", "damaged"),
    "broken": ({**GOOD, "dark/bad.png": broken(PNG)}, "dark/bad.png", "damaged"),
    "gif": ({**GOOD, "dark/g.png": encoded(picture(9), "GIF")}, "dark/g.png", "is a GIF"),
    "webp": ({**GOOD, "dark/w.jpg": b"RIFF0000WEBPVP8 "}, "dark/w.jpg", "is a WebP"),
    "text": ({**GOOD, "dark/readme.txt": b"hello"}, "dark/readme.txt", "no image that can be read"),
    "svg": ({**GOOD, "dark/a.png": b"<svg/>"}, "dark/a.png", "is text"),
    "empty": ({**GOOD, "dark/nil.png": b""}, "dark/nil.png", "is empty"),
    "climbs": ({**GOOD, "../../etc/x.png": PNG}, "../../etc/x.png", "climbs out"),
    "within": ({**GOOD, "dark/../../x.png": PNG}, "dark/../../x.png", "climbs out"),
    "absolute": ({**GOOD, "/etc/x.png": PNG}, "/etc/x.png", "climbs out"),
    "drive": ({**GOOD, "C:\\dark\\x.png": PNG}, "dark", "climbs out"),
    "windows": ({**GOOD, "..\\x.png": PNG}, "x.png", "climbs out"),
    "link": ([*GOOD.items(), (link("dark/l.png"), b"/etc/passwd")], "dark/l.png", "is a link"),
    "no class": ({**GOOD, "x.png": PNG}, "x.png", "the folder of its class"),
    "too deep": ({**GOOD, "dark/a/x.png": PNG}, "dark/a/x.png", "the folder of its class"),
    "empty class": ({**GOOD, "void/": b""}, "void", "no image"),
    "hidden class": ({**GOOD, "void/": b"", "void/.DS_Store": b"x"}, "void", "no image"),
    "one image": ({**GOOD, "lone/1.png": PNG}, "lone/1.png", "1 image"),
    "few images": ({**GOOD, "few/1.png": PNG, "few/2.png": PNG}, "few/1.png", "a class needs 5"),
    "one class": (
        {path: file for path, file in GOOD.items() if path.startswith("dark")},
        "dark/0.png",
        "nothing to predict",
    ),
    "missing word": ({**GOOD, "NA/1.png": PNG}, "NA/1.png", "no name of a class"),
    "only in test": (
        {
            **files(each=6, top="train/"),
            **files(each=2, top="test/"),
            **{f"test/other/{i}.png": PNG for i in range(5)},
        },
        "test/other/0.png",
        "no image is in train",
    ),
    "a zip in it": ({**GOOD, "dark/in.png": zip_of(GOOD)}, "dark/in.png", "a zip inside the zip"),
    "nothing": ({".DS_Store": b"x"}, "image", "there is no image"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_named(name: str, tmp_path: Path) -> None:
    entries, file, said = HOSTILE[name]
    with pytest.raises(Problem) as caught:
        taken(tmp_path, zip_of(entries), "zip")
    assert file in caught.value.detail
    assert said in caught.value.detail


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"two files have the name 'dark/0\.png'"):
        taken(tmp_path, zip_of([*GOOD.items(), ("dark/0.png", PNG)]), "zip")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zip_of(GOOD))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(mark)
        data[place + at] |= 1
    with pytest.raises(Unreadable, match=r"'dark/0\.png' is encrypted"):
        taken(tmp_path, bytes(data), "zip")


@pytest.mark.parametrize("claim", [10, 10**9])
def test_a_zip_that_lies_about_a_size(claim: int, tmp_path: Path) -> None:
    data = bytearray(zip_of(GOOD))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", claim)
    with pytest.raises(Unreadable, match=r"'dark/0\.png' (claims|cannot be unpacked)"):
        taken(tmp_path, bytes(data), "zip")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 and no more", b"no zip at all"])
def test_no_zip(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="the file is no zip that can be read"):
        taken(tmp_path, data, "zip")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(images=11), "light/5.png' .WHICHOPT_MAX_IMAGES"),
        (Limits(image_pixels=143), "dark/0.png' has 12 x 12 pixels"),
        (Limits(pixels=12 * 144 - 1), "with 'light/5.png' .WHICHOPT_MAX_PIXELS"),
        (Limits(table_bytes=1000), "(WHICHOPT_MAX_TABLE_BYTES)"),
    ],
)
def test_limits_hold(limits: Limits, said: str, tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=said):
        taken(tmp_path, zip_of(GOOD), "zip", limits)


def test_200_000_tiny_files_are_refused_by_their_number(tmp_path: Path) -> None:
    entries: list[tuple[str | zipfile.ZipInfo, bytes]] = [(f"a/{i}.png", b"") for i in range(200_000)]
    said, _ = read_by_process(tmp_path, zip_of(entries), "zip")
    problem = said[-1]["problem"]
    assert problem["code"] == "dataset_too_large"
    assert "more than 100,000 files, the next of which is 'a/100000.png'" in problem["detail"]


def test_the_bomb_stays_small_in_a_process_with_little_memory(tmp_path: Path) -> None:
    entries = {**GOOD, "dark/big.png": claiming_png(50_000, 50_000)}
    assert len(entries["dark/big.png"]) < 1100
    said, result = read_by_process(tmp_path, zip_of(entries), "zip", Limits(memory_bytes=1 << 30))
    assert said[-1]["problem"]["code"] == "dataset_too_large"
    assert "'dark/big.png' has 50,000 x 50,000 pixels" in said[-1]["problem"]["detail"]
    assert list(result.iterdir()) == []


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.filterwarnings("ignore")
def test_damage_anywhere_is_a_problem_or_an_image(form: str, tmp_path: Path) -> None:
    """As any byte may be another: nothing but a problem in words comes of it."""
    whole, draw = encoded(picture(60), form), random.Random(0)
    said = []
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(4, len(damaged))] = draw.randrange(256)
        cut = draw.randrange(10, len(damaged)) if draw.random() < 0.3 else len(damaged)
        said.append(_said(tmp_path, zip_of({**GOOD, "dark/odd.png": bytes(damaged[:cut])})))
    problems = [detail for detail in said if detail is not None]
    assert len(problems) > 10
    assert all("dark/odd.png" in detail for detail in problems)


def _said(folder: Path, data: bytes) -> str | None:
    """Return the problem of a zip; None if it has none."""
    try:
        taken(folder, data, "zip")
    except Problem as problem:
        return problem.detail
    return None


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"columns": {"class": "category"}}, "columns cannot be said of images"),
        ({"header": True}, "header cannot be said of images"),
        ({"split": "group:class"}, "split cannot be said of images"),
        ({"target": "other"}, "leave target and task out"),
        ({"task": "regression"}, "leave target and task out"),
    ],
)
def test_choices_about_columns_are_refused(choices: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=said):
        taken(tmp_path, zip_of(GOOD), "zip", **choices)


def test_a_size_is_not_for_tables(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="size= is for images"):
        taken(tmp_path, "a,y\n" + "1,x\n2,y\n" * 20, size=32)


# -- folders -------------------------------------------------------------------------------------------


def test_a_folder_is_read_like_a_zip(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "pets", {**GOOD, "dark/.hidden": b"x"})
    found = take(folder, "folder", Choices())
    as_zip = taken(tmp_path, zip_of(GOOD), "zip")
    assert (found.table.shape, found.table.classes) == (as_zip.table.shape, as_zip.table.classes)
    assert found.images is not None
    assert as_zip.images is not None
    assert (found.images.pixels == as_zip.images.pixels).all()
    kept = found.kept.tensors()
    assert kept["digests"].shape == (12, 32)
    assert kept["shown"].shape == (12, 3, 12, 12)
    assert "images" not in kept


@pytest.mark.parametrize("where", ["outside", "folder", "loop", "itself"])
def test_links_that_lead_out_or_around_are_refused(where: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "pets", GOOD)
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    target = {"outside": secret, "folder": folder / "light", "loop": folder}.get(
        where, folder / "dark" / "linked"
    )
    os.symlink(target, folder / "dark" / "linked")
    with pytest.raises(Unreadable, match=r"'dark/linked' is a link"):
        take(folder, "folder", Choices())


def test_a_link_within_the_root_is_followed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "pets", GOOD)
    other = folder_of(tmp_path / "root" / "store", {"x.png": PNG})
    os.symlink(other / "x.png", folder / "dark" / "linked.png")
    assert take(folder, "folder", Choices()).table.rows == 13


def test_a_folder_that_leads_out_of_the_root_is_no_folder(tmp_path: Path) -> None:
    folder_of(tmp_path / "elsewhere", GOOD)
    root = tmp_path / "root"
    root.mkdir()
    os.symlink(tmp_path / "elsewhere", root / "pets")
    with pytest.raises(Unreadable, match="no folder 'pets' under WHICHOPT_DATA_ROOT"):
        Folder(root / "pets", root, 100)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "pets", GOOD)
    os.mkfifo(folder / "dark" / "pipe.png")
    with pytest.raises(Unreadable, match=r"'dark/pipe\.png' is no file"):
        take(folder, "folder", Choices())


def test_a_file_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "pets", GOOD)
    with (folder / "dark" / "huge.png").open("wb") as file:
        file.write(PNG)
        file.truncate(1 << 40)
    with pytest.raises(TooLarge, match=r"'dark/huge\.png' has more than 268,435,456 bytes"):
        take(folder, "folder", Choices())


def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "pets", GOOD)
    folder.joinpath(*["a"] * 60).mkdir(parents=True)
    with pytest.raises(Unreadable, match="folder 'a/a/a/a/a/a/a/a/a' lies in 8 others"):
        take(folder, "folder", Choices())


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "pets", GOOD)
    (folder / "dark" / os.fsdecode(b"\xff.png")).write_bytes(PNG)
    with pytest.raises(Unreadable, match=r"the name of 'dark/.*\.png' is no text in UTF-8; rename it"):
        take(folder, "folder", Choices())
