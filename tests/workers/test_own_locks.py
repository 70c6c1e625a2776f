"""Locks end with the process that took them, and are no copy's."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

from whichopt.workers.guests.scratch import PREFIX, scratch
from whichopt.workers.own_locks import FOLDER, OwnLock


def test_a_lock_is_alone_or_shared(tmp_path: Path) -> None:
    one, other = OwnLock(tmp_path / "lock"), OwnLock(tmp_path / "lock")
    assert one.is_alone()
    assert not other.is_alone()
    one.share()
    other.share()
    assert not other.is_alone()
    one.end()
    assert other.is_alone()
    other.end()
    other.end()  # once is enough


def test_a_copy_of_the_process_that_lives_on_holds_no_lock(tmp_path: Path) -> None:
    held = OwnLock(tmp_path, FOLDER)
    assert held.is_alone()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a copy that does nothing needs no lock
        pid = os.fork()
    if pid == 0:
        os.write(writing, b"x")
        signal.pause()
    try:
        os.read(reading, 1)  # the copy is there
        held.end()
        again = OwnLock(tmp_path, FOLDER)
        assert again.is_alone()
        again.end()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def test_a_folder_ends_with_its_block_and_takes_lost_ones_along(tmp_path: Path) -> None:
    lost = tmp_path / f"{PREFIX}of-a-killed-process"
    lost.mkdir()
    (lost / "0.pt").write_bytes(b"a checkpoint")
    (tmp_path / "another").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "another")
    with scratch(tmp_path) as first:
        assert not lost.exists()
        (first / "0.pt").write_bytes(b"a checkpoint")
        with scratch(tmp_path) as second:
            assert (first / "0.pt").exists(), "its process is there"
            assert first != second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", f"{PREFIX}link"]


def test_the_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    with scratch(tmp_path / "data" / "runs") as made:
        assert made.is_dir()
    assert list((tmp_path / "data" / "runs").iterdir()) == []
