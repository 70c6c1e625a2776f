"""Blobs: whole or not at all, found by their hash, removed when nobody names them."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from whichopt.service import blobs


def test_a_blob_is_named_by_its_content(tmp_path: Path) -> None:
    name = blobs.save(tmp_path / "blobs", b"state")
    assert name == hashlib.sha256(b"state").hexdigest()
    assert blobs.save(tmp_path / "blobs", b"state") == name
    assert blobs.load(tmp_path / "blobs", name) == b"state"
    assert [file.name for file in (tmp_path / "blobs").iterdir()] == [name]


def test_a_damaged_or_missing_blob_is_said_so(tmp_path: Path) -> None:
    name = blobs.save(tmp_path, b"state")
    (tmp_path / name).write_bytes(b"stale")
    with pytest.raises(ValueError, match="its own hash"):
        blobs.load(tmp_path, name)
    blobs.discard(tmp_path, name)
    blobs.discard(tmp_path, name)
    with pytest.raises(FileNotFoundError):
        blobs.load(tmp_path, name)


def test_what_nobody_names_is_removed_once_it_is_old(tmp_path: Path) -> None:
    kept, orphan = blobs.save(tmp_path, b"kept"), blobs.save(tmp_path, b"orphan")
    assert blobs.collect(tmp_path, {kept}, older_than_s=3600) == 0
    assert blobs.collect(tmp_path, {kept}, older_than_s=-1) == 1
    assert [file.name for file in tmp_path.iterdir()] == [kept]
    assert blobs.collect(tmp_path / "none", set(), older_than_s=0) == 0
    assert not (tmp_path / orphan).exists()


@pytest.mark.parametrize("ahead_s", [7200.0, -7200.0])
def test_the_age_of_a_blob_is_by_the_clock_that_stamped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    """A host whose own clock is wrong removes nothing that has just been written, and what is old."""
    new, old = blobs.save(tmp_path, b"new"), blobs.save(tmp_path, b"old")
    written = (tmp_path / old).stat().st_mtime
    os.utime(tmp_path / old, (written - 5000, written - 5000))
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + ahead_s)
    assert blobs.collect(tmp_path, set(), older_than_s=3600) == 1
    assert [file.name for file in tmp_path.iterdir()] == [new]
