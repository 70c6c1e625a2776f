"""Logs: whatever happens to them, who logs goes on; and they hold nothing but lines of one kind."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog

from whichopt.service import logs

log = structlog.get_logger()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Undo what `configure` does to this process."""
    last_resort, level = logging.lastResort, logging.getLogger(logs.OURS).level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    logging.lastResort = last_resort
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    logging.getLogger(logs.OURS).setLevel(level)
    structlog.reset_defaults()


def configured(stream: TextIO | None, monkeypatch: pytest.MonkeyPatch, level: str = "INFO") -> logs.Lines:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's, which raise if a line cannot be told
    logs.configure(level)
    (lines,) = [handler for handler in logging.getLogger().handlers if isinstance(handler, logs.Lines)]
    return lines


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line]


class Broken(io.StringIO):
    """A stream in memory that raises while there is something to raise."""

    error: Exception | None = None

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        BrokenPipeError(32, "Broken pipe"),
        ValueError("I/O operation on closed file"),
        UnicodeEncodeError("ascii", "é", 0, 1, "no"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_lines_that_cannot_be_written_are_counted_and_told_of_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Broken()
    configured(stream, monkeypatch)
    log.info("first")
    stream.error = error
    for _ in range(3):
        log.info("lost")
        logging.getLogger("celery").error("lost, too")
    stream.error = None
    log.info("after")
    log.info("later")
    told = parsed(stream.getvalue())
    assert [line["event"] for line in told] == ["first", "log_lines_lost", "after", "later"]
    assert told[1]["count"] == 6
    assert told[1]["level"] == "warning"


def test_a_real_disk_without_space_a_closed_stream_and_none_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Path("/dev/full").open("w") as full:
        lines = configured(full, monkeypatch)
        log.warning("no space")
        assert lines.lost == 1
    log.warning("closed")
    assert lines.lost == 2
    none = configured(None, monkeypatch)
    log.warning("no stderr")
    assert none.lost == 1
    with (tmp_path / "log").open("w") as file:
        none.stream = file
        log.warning("again")
    assert [line["event"] for line in parsed((tmp_path / "log").read_text())] == ["log_lines_lost", "again"]


def test_what_cannot_be_rendered_is_lost_without_a_word_to_who_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    stream = io.StringIO()
    configured(stream, monkeypatch)
    log.info("odd", value=Odd())
    logging.getLogger("odd").warning("%d", "no number")
    log.info("even")
    assert [line["event"] for line in parsed(stream.getvalue())] == ["log_lines_lost", "even"]


def test_a_line_that_was_torn_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe of 4 KiB that nobody reads takes a part of a line, as a disk does that fills up."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "w") as stream:
        lines = configured(stream, monkeypatch)
        log.info("long", text="x" * 10_000)
        assert lines.lost == 1
        torn = pipe.read(4096).decode()
        log.info("whole")
        stream.close()
        rest = pipe.read().decode()
    assert "\n" not in torn
    assert rest.startswith("\n")
    assert [line["event"] for line in parsed(rest)] == ["log_lines_lost", "whole"]


def test_a_stream_of_another_encoding_gets_utf_8(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        configured(stream, monkeypatch)
        logging.getLogger("library").warning("größer \udce9")
    assert parsed((tmp_path / "log").read_text("utf-8"))[0]["event"].startswith("größer")


def test_who_looks_gets_the_human_form(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    configured(stream, monkeypatch)
    log.info("told", job=7)
    assert "told" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_libraries_tell_warnings_and_we_tell_as_much_as_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    configured(stream, monkeypatch, level="debug")
    log.debug("ours")
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("sqlalchemy.pool").warning("theirs")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    told = parsed(stream.getvalue())
    assert [(line["level"], line.get("logger")) for line in told] == [
        ("debug", None),
        ("warning", "sqlalchemy.pool"),
        ("warning", "py.warnings"),
    ]


EVERYTHING = """
import logging, sys, threading, warnings
import uvicorn
uvicorn.Config("no.app", access_log=sys.argv[1] == "access")  # gives its loggers handlers
from whichopt.service import logs
logs.configure("INFO")
import structlog
structlog.get_logger().info("ours")
logging.getLogger("uvicorn.error").warning("uvicorn")
logging.getLogger("uvicorn.access").info("access")
logging.getLogger("asyncio").error("asyncio")
warnings.warn("a warning")
def fail():
    raise RuntimeError("in a thread")
thread = threading.Thread(target=fail, name="failing")
thread.start()
thread.join()
class Unraisable:
    def __del__(self):
        raise RuntimeError("in a finalizer")
Unraisable()
raise RuntimeError("at the top\\nof all")
"""


@pytest.mark.parametrize("access", ["access", "none"])
def test_a_process_writes_nothing_but_json_until_its_end(access: str) -> None:
    found = subprocess.run(
        [sys.executable, "-W", "default", "-c", EVERYTHING, access],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")
    told = {line["event"]: line for line in parsed(found.stderr)}
    assert len(told) == len(found.stderr.splitlines()), "each is one line"
    expected = ["ours", "uvicorn", "access", "asyncio", "thread_ended", "unraisable", "uncaught"]
    assert [event for event in told if "UserWarning" not in event] == [
        event for event in expected if event != "access" or access == "access"
    ]
    assert any("UserWarning: a warning" in event for event in told)
    assert told["thread_ended"]["thread"] == "failing"
    causes = {"thread_ended": "in a thread", "unraisable": "in a finalizer", "uncaught": "at the top\nof all"}
    for event, words in causes.items():
        assert "Traceback" in told[event]["exception"]
        assert words in told[event]["exception"]
