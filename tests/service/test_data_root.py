"""Folders under the data root are found, whatever else lies there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from whichopt.service.data_root import lying
from whichopt.service.errors import NotFound


def test_a_link_to_itself_hides_no_folder(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "a.png").write_bytes(b"1234")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    assert lying("pets", tmp_path, most=10).bytes == 4
    with pytest.raises(NotFound, match="there are pets"):
        lying("loop", tmp_path, most=10)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A root with a folder of so many within one another that their path is longer than one may be."""
    here, depth = Path.cwd(), sys.getrecursionlimit() + 100
    (tmp_path / "pets").mkdir()
    os.chdir(tmp_path / "pets")
    for _ in range(depth):
        Path("a").mkdir()
        os.chdir("a")
    os.chdir(here)
    yield tmp_path
    os.chdir(tmp_path / "pets")
    for _ in range(depth):
        os.chdir("a")
    for _ in range(depth):  # as no remover of trees of Python's own gets there
        os.chdir("..")
        Path("a").rmdir()
    os.chdir(here)


def test_folders_without_end_are_not_followed(deep: Path) -> None:
    assert lying("pets", deep, most=10).bytes == 0
