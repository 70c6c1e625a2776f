"""What a system allows, and what is said if that is too little. Limits are set in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from whichopt.workers import limits
from whichopt.workers.embedded import broker
from whichopt.workers.embedded.broker import LONGEST_SOCKET, Broker
from whichopt.workers.embedded.last_words import last_words
from whichopt.workers.identity import host

FILES = """
import resource
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from whichopt.workers.limits import raise_open_files
raise_open_files(print)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limited(soft: str, hard: str) -> list[str]:
    """What a process says whose files are limited, and its limit after that."""
    code = FILES.format(soft=soft, hard=hard)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def test_open_files_are_raised_to_what_may_be_had() -> None:
    assert limited("100", "2000") == ["2000"]
    assert limited("100", "most") == [limited("min(most, 10240)", "most")[0]]


def test_too_few_open_files_are_said() -> None:
    said, left = limited("64", "128")
    assert left == "128"
    assert "may open only 128 files" in said
    assert "ulimit -n" in said


def test_processes_that_cannot_share_a_lock_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.why_no_semaphores() == ""

    class Without:
        def Lock(self) -> None:  # noqa: N802
            raise OSError(30, "Read-only file system")

    monkeypatch.setattr("multiprocessing.get_context", lambda _: Without())
    problem = limits.why_no_semaphores()
    assert "Read-only file system" in problem
    assert "/dev/shm" in problem


# -- the folder of the broker's socket -------------------------------------------------------------------


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The places where the socket may be; two short ones."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="w") as short:
        found = [Path(short) / "one", Path(short) / "two"]
        for place in found:
            place.mkdir()
        monkeypatch.setattr(broker, "_places", lambda: iter(found))
        yield found


def test_a_temporary_folder_with_a_long_path_is_passed_over(places: list[Path], tmp_path: Path) -> None:
    deep = places[0] / ("a" * 100)
    deep.mkdir()
    short = places[1]
    places[:] = [deep, short]
    found = Broker(tmp_path)
    assert found.runtime.parent == short
    assert len(os.fsencode(found.socket)) <= LONGEST_SOCKET
    assert found.runtime.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("taken", ["file", "link", "missing"])
def test_a_place_that_is_not_ours_is_passed_over(taken: str, places: list[Path], tmp_path: Path) -> None:
    name = Broker(tmp_path).runtime.name
    (places[0] / name).rmdir()
    if taken == "file":
        (places[0] / name).write_text("somebody's")
    elif taken == "link":
        (places[0] / name).symlink_to(tmp_path)
    else:
        places[0].rmdir()
    assert Broker(tmp_path).runtime == places[1] / name


def test_without_a_place_it_is_said_what_to_do(places: list[Path], tmp_path: Path) -> None:
    places[:] = [places[0].parent / "none", tmp_path / ("a" * 100)]
    with pytest.raises(RuntimeError, match="set TMPDIR to a folder that you may write") as raised:
        Broker(tmp_path)
    assert "cannot be made (No such file or directory)" in str(raised.value)
    assert "is too long a path for a socket" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_environment_without_any_temporary_folder_leaves_the_usual_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert list(broker._places()) == [Path("/tmp"), Path("/var/tmp")]


# -- names and last words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("node-7.cluster_a", "node-7.cluster_a"),
        ("we ird@%h%n", "we-ird--h-n"),
        ("h\udce9", "h-"),
        ("Rechner-München", "Rechner-M-nchen"),
        ("", "localhost"),
    ],
)
def test_a_workers_name_has_plain_letters(name: str, plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: name)
    assert host() == plain


def test_a_child_that_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    assert last_words(log) == ""
    log.write_bytes(b"x" * 9000 + b"\nRuntimeError: can't start new thread \xff\n\n")
    assert (
        last_words(log) == ", which ends in: RuntimeError: can't start new thread \N{REPLACEMENT CHARACTER}"
    )
