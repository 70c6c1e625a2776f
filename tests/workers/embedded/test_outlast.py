"""What a home outlasts: no space, a terminal that is gone, children that end again and again."""

from __future__ import annotations

import errno
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from whichopt.workers.embedded.outlast import RESTART_PAUSE_S, RESTARTS, Again, say, write_whole


def test_words_that_cannot_be_said_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115  closing it raises, too
    monkeypatch.setattr(sys, "stderr", full)
    say("no space")
    with pytest.raises(OSError, match="space"):
        full.close()
    say("closed")


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "api-key", "first", mode=0o600)
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", no_space)
        with pytest.raises(OSError, match="space"):
            write_whole(tmp_path / "api-key", "second")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("api-key", "first")]


def test_what_ends_again_and_again_is_started_ever_again_but_with_pauses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    starts: list[float] = []

    def start() -> None:
        starts.append(now)
        raise OSError(errno.ENOSPC, "No space left on device")

    again = Again()
    for _ in range(3 * RESTARTS):
        again.attempt(start, "the worker ended", "log: worker.log")
    assert len(starts) == RESTARTS, "at once, and then no more for now"
    for _ in range(400):
        now += 1.0
        again.attempt(start, "the worker ended", "log: worker.log")
    later = starts[RESTARTS:]
    assert min(b - a for a, b in pairwise(later)) >= RESTART_PAUSE_S
    assert len(later) >= 400 / RESTART_PAUSE_S - 1, "and it is never given up"
    said = capsys.readouterr().err.splitlines()
    assert "the worker ended; starting it again (log: worker.log)" in said
    assert "the worker ended again and again; starting it again (log: worker.log)" in said
    assert "it cannot be started now: [Errno 28] No space left on device" in said
