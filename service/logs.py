"""Logs: one line an event, on stderr; JSON if nobody is looking.

What we log and what libraries log goes through one handler, so that a log holds nothing but such lines. No
log call raises: a line that cannot be written (the disk is full, nobody reads the pipe) is counted, and the
count is said in a line of its own once writing works again.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

OURS = "whichopt"
"""The name of the logger that everything of ours goes through; `WHICHOPT_LOG_LEVEL` is its level."""

LIBRARIES = ("uvicorn", "uvicorn.access")
"""Loggers with handlers of their own, unless they are to be silent; here they use ours."""

_TOLD = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

_STATEMENT = re.compile(
    r"\n[ |]*\[SQL: .*?\](?=\n[ |]*(?:\[parameters: |\[SQL parameters hidden|\(Background on |\n)|\n?\Z)",
    re.DOTALL,
)
_VALUES = re.compile(r"\n[ |]*\[(?:parameters: |SQL parameters hidden).*?\](?=\n|\Z)")
"""What the message of an error of SQLAlchemy says of its statement, on lines of their own; in a group of
exceptions the lines are indented."""

log = structlog.get_logger()


def configure(level: str) -> None:
    """Set up all logging of this process, and what happens to exceptions that nobody catches.

    `level` is a name of the logging module ("INFO"). It is about our own lines; libraries tell warnings and
    worse.
    """
    lines = Lines(sys.stderr)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Lines)]:
        root.removeHandler(handler)  # of an earlier call
    root.addHandler(lines)
    logging.lastResort = _LastResort(lines)
    for name in LIBRARIES:
        library = logging.getLogger(name)
        if library.handlers:
            library.handlers, library.propagate = [], True
    logging.captureWarnings(True)
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger(OURS).setLevel(least)
    structlog.configure(
        processors=[*_TOLD, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: logging.getLogger(OURS),
        cache_logger_on_first_use=False,
    )
    sys.excepthook = _uncaught
    threading.excepthook = _thread_ended
    sys.unraisablehook = _unraisable


class Lines(logging.Handler):
    """Writes each record as one line to `stream`, in one call if the stream is a file of the system's.

    `lost` counts the lines that could not be written since one last could.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self.stream = stream
        self.lost = 0
        self._torn = False
        human = stream is not None and _is_terminal(stream)
        exceptions = structlog.processors.ExceptionRenderer(_traceback)
        render: list[Any] = [exceptions, structlog.processors.JSONRenderer()]
        if human:
            # Without the values of local variables, among which are keys.
            render = [structlog.dev.ConsoleRenderer(exception_formatter=_show_traceback)]
        remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        self.formatter = structlog.stdlib.ProcessorFormatter(
            processors=[remove, *render],
            foreign_pre_chain=[_name_of_logger, structlog.stdlib.ExtraAdder(["count"]), *_TOLD],
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it: whoever logs goes on, whatever happens here."""
        try:
            notice = f"{self.format(_told_lost(self.lost))}\n" if self.lost else ""
            self._write(f"{notice}{self.format(record)}\n")
        except Exception:  # noqa: BLE001
            # There is nowhere left to tell of it but before the next line that can be written.
            self.lost += 1
        else:
            self.lost = 0

    def _write(self, text: str) -> None:
        if self.stream is None:
            raise OSError("this process has no stderr")
        data = text.encode("utf-8", "backslashreplace")
        try:
            number = self.stream.fileno()
        except (OSError, AttributeError):  # a stream in memory
            self.stream.write(text)
            self.stream.flush()
            return
        # Past the stream's buffer, which would keep what it cannot write, and write it in pieces: several
        # processes write to one file. What was torn off by a full disk gets a line's end.
        data = b"\n" + data if self._torn else data
        written = os.write(number, data)
        while 0 < written < len(data):
            self._torn = not data.endswith(b"\n", 0, written)
            data = data[written:]
            written = os.write(number, data)
        self._torn = False


class _LastResort(logging.Handler):
    """Takes the warnings of loggers that no handler was given to, which Python would write as they are."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(logging.WARNING)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.handle(record)


def without_statements(text: str) -> str:
    """Return the text of a traceback without SQL statements and their values, which are what users sent."""
    return _VALUES.sub("", _STATEMENT.sub("", text))


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    return without_statements("".join(traceback.format_exception(*exc_info)).removesuffix("\n"))


def _show_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    stream.write(f"\n{_traceback(exc_info)}")


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _name_of_logger(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**event, "logger": event["_record"].name}


def _told_lost(count: int) -> logging.LogRecord:
    fields = {"name": OURS, "levelname": "WARNING", "levelno": logging.WARNING, "count": count}
    return logging.makeLogRecord({"msg": "log_lines_lost", **fields})


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("uncaught", exc_info=(kind, error, trace))


def _thread_ended(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_type is not SystemExit:
        name = None if failure.thread is None else failure.thread.name
        log.critical("thread_ended", thread=name, exc_info=failure.exc_value)


def _unraisable(failure: Any) -> None:
    what = failure.err_msg or "Exception ignored in"
    log.error("unraisable", what=f"{what}: {failure.object!r}", exc_info=failure.exc_value)
