"""Runs the process that reads a file, and reads what it says as words of somebody who is not trusted.

A file may be made to harm its reader. So that runs by itself (`whichopt.workers.intake`), with limits that it
sets at once, an environment that holds nothing secret, and a time after which it is killed. Its answer must
be a table that agrees with itself, in a file that has the hash that it claims.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.catalog.language import TextOptions, of_text
from whichopt.service.splits import sizes_of
from whichopt.service.texts import LANGUAGE, Text
from whichopt.service.uploads import Table
from whichopt.service.views.datasets import DatasetProblem
from whichopt.service.windows import IN_ORDER

COMMAND = (sys.executable, "-P", "-m", "whichopt.workers.intake")
PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""Variables by which a process finds its own parts."""

LONGEST_LINE = 1 << 25
LONGEST_ERROR = 1 << 13
"""Bytes that are kept of what a reader writes to stderr."""

LOOK_S = 0.2
"""Seconds between two looks if the file is still wanted."""

log = structlog.get_logger()


class ReaderFailed(Exception):
    """The file was not read; `problem` says why."""

    def __init__(self, problem: DatasetProblem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class NotWanted(Exception):
    """Nobody waits for the file any more, so its reader was stopped."""


@dataclass(frozen=True)
class Found:
    """What a reader made of a file: the table, and the columns in a part file of this hash and size."""

    table: Table
    content: str
    part: Path
    bytes: int


class Progress(BaseModel):
    """How far a reader is, as it says itself."""

    model_config = ConfigDict(frozen=True)
    rows: int | None = Field(default=None, ge=0, lt=2**53)
    share: float | None = Field(default=None, ge=0, le=1)


class _Progressed(BaseModel):
    progress: Progress


class _Failed(BaseModel):
    problem: DatasetProblem


class _Done(BaseModel):
    table: Table
    content: str = Field(pattern=r"^[0-9a-f]{64}$")
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


def read(
    request: Mapping[str, Any],
    folder: Path,
    *,
    seconds: float,
    most_bytes: int,
    progressed: Callable[[Progress], None],
    wanted: Callable[[], bool],
    command: Sequence[str] = COMMAND,
) -> Found:
    """Have a process read a file; return what it found in it.

    Args:
        request: what is asked of the reader, as JSON.
        folder: the folder for its result; whoever made it removes it.
        seconds: the time that it may take.
        most_bytes: the largest size of its result.
        progressed: is told how far it is.
        wanted: is asked again and again; once it returns False, the process is killed.
        command: the reader.

    Raises:
        ReaderFailed: the file cannot be read, or its reader failed.
        NotWanted: it was not wanted any more.
        OSError: the process cannot be started, or its result cannot be read.
    """
    ends_at = time.monotonic() + seconds
    said = _Said(progressed)
    with _process(request, command) as process:
        for now in _pieces(process, said):
            if not wanted():
                raise NotWanted
            if now > ends_at:
                raise ReaderFailed(
                    DatasetProblem(
                        code="dataset_too_large",
                        detail=f"reading the file took longer than {seconds:g} s, so it was stopped "
                        "(WHICHOPT_INTAKE_S); send fewer rows or columns",
                    )
                )
        status = process.wait()
    if said.done is None:
        raise ReaderFailed(said.problem or _died(status, said.errors))
    lying = Path(request["file"]).name if request["format"] == "folder" else None
    return _checked(said.done, folder, most_bytes, lying)


class _Said:
    """What a reader has said so far."""

    def __init__(self, progressed: Callable[[Progress], None]) -> None:
        self.done: _Done | None = None
        self.problem: DatasetProblem | None = None
        self.errors = b""
        self._line = bytearray()
        self._progressed = progressed

    def out(self, piece: bytes) -> None:
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._add(line)
            self._understand(bytes(self._line))
            self._line.clear()
        self._add(rest)

    def error(self, piece: bytes) -> None:
        self.errors = (self.errors + piece)[-LONGEST_ERROR:]

    def _add(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > LONGEST_LINE:
            raise _broken("its answer is too long")
        self._line += piece

    def _understand(self, line: bytes) -> None:
        if not line.strip():
            return
        if self.done is not None or self.problem is not None:
            raise _broken("it said more after its answer")
        try:
            keys = json.loads(line).keys() if len(line) < 1 << 16 else {"table"}
            if "progress" in keys:
                self._progressed(_Progressed.model_validate_json(line).progress)
            elif "problem" in keys:
                self.problem = _plain(_Failed.model_validate_json(line).problem)
            else:
                self.done = _Done.model_validate_json(line)
        except (ValueError, AttributeError, RecursionError) as error:
            log.error("reader_not_understood", error=str(error)[:1000])
            raise _broken("its answer cannot be understood") from None
        if b"\\u0000" in line:  # which PostgreSQL does not store
            raise _broken("its answer has a NUL character")


def _broken(why: str) -> ReaderFailed:
    return ReaderFailed(
        DatasetProblem(code="internal", detail=f"the reader of the file failed: {why}; please report it")
    )


def _plain(problem: DatasetProblem) -> DatasetProblem:
    """Return the problem with words of a length that can be shown."""
    column = problem.column and problem.column[:200]
    return problem.model_copy(
        update={"code": problem.code[:64], "detail": problem.detail[:1000], "column": column}
    )


def _died(status: int, errors: bytes) -> DatasetProblem:
    """Return why there is no answer: by far the most often, the file needs more than its reader may have."""
    log.warning("reader_died", status=status, stderr=errors.decode("utf-8", "replace"))
    if status < 0 or b"MemoryError" in errors:
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else "for want of memory"
        return DatasetProblem(
            code="dataset_too_large",
            detail=f"the reader of the file ended {how}: it needs more memory or time than a reader may have "
            "(WHICHOPT_INTAKE_BYTES, WHICHOPT_INTAKE_S); send fewer rows or columns",
        )
    return DatasetProblem(
        code="internal",
        detail=f"the reader of the file ended with status {status} and without an answer; the service's log "
        "has what it wrote",
    )


@contextmanager
def _process(request: Mapping[str, Any], command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the reader for the block; it is gone at the end, and so is its home."""
    with tempfile.TemporaryDirectory(prefix="whichopt-intake-") as home:
        asked = Path(home) / "request.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        if places := environment.get("PYTHONPATH"):  # which may be relative to where we are
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, places.split(os.pathsep)))
        environment |= {
            "HOME": home,
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [*command, str(asked)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home,
            env=environment,
            start_new_session=True,  # a Ctrl-C is for the service, which stops it
        )
        try:
            yield process
        finally:
            process.kill()
            for pipe in filter(None, (process.stdout, process.stderr)):
                pipe.close()
            process.wait()


def _pieces(process: subprocess.Popen[bytes], said: _Said) -> Iterator[float]:
    """Hear what the process says until it closes its pipes; yield the time now and then."""
    assert process.stdout is not None
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, said.out)
        selector.register(process.stderr, selectors.EVENT_READ, said.error)
        while selector.get_map():
            for key, _ in selector.select(LOOK_S):
                piece = os.read(key.fd, 1 << 16)
                if piece:
                    key.data(piece)
                else:
                    selector.unregister(key.fileobj)
            yield time.monotonic()


def _checked(done: _Done, folder: Path, most_bytes: int, read_from: str | None) -> Found:
    """Return what was found, if the file is what it is said to be.

    `read_from` is the name of the folder that was to be read where it lies; None for a file.
    """
    part = folder / done.file
    # Neither a link nor a pipe: what is kept is a file that the reader wrote.
    handle = os.open(part, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        size = os.fstat(handle).st_size
        if size > most_bytes:
            raise ReaderFailed(
                DatasetProblem(
                    code="dataset_too_large",
                    detail=f"the columns that would be kept have {size:,} bytes; at most {most_bytes:,} are "
                    "allowed (WHICHOPT_MAX_TABLE_BYTES); send fewer rows or columns",
                )
            )
        if hashlib.file_digest(file, "sha256").hexdigest() != done.content:
            raise _broken("its result does not have the hash that it claims")
    _agree(done.table, read_from)
    return Found(done.table, done.content, part, size)


def _agree(table: Table, folder: str | None) -> None:
    """Raise ReaderFailed if the parts of the table contradict each other, or the folder that was to be read.

    Workers read the folder that the table names, so a reader must not name another.
    """
    if table.text is not None:
        _agree_on_text(table, table.text)
        return
    names = [column.name for column in table.columns]
    width = sum(column.width for column in table.features)
    used = table.sizes.train + table.sizes.validation + table.sizes.test
    outputs = 1 if table.classes is None else len(table.classes)
    sound = (
        len(set(names)) == len(names)
        and table.target in names
        and _sizes_agree(table, width)
        and (None if table.images is None else table.images.folder) == folder
        and table.shape.outputs == outputs
        and (table.classes is None) == (table.task == "regression")
        and min(table.sizes.train, table.sizes.validation, table.sizes.test) > 0
        and used <= table.rows
    )
    if not sound:
        raise _broken("the parts of the table that it found contradict each other")


def _sizes_agree(table: Table, width: int) -> bool:
    """Tell if the features are those of the columns, or of the images."""
    if table.images is None:
        return table.shape.image is None and table.shape.features == width > 0
    return table.shape.image is not None and table.shape.features == math.prod(table.shape.image) > 0 == width


def _agree_on_text(table: Table, text: Text) -> None:
    shape = of_text(text)(TextOptions())
    sound = (
        table.task == LANGUAGE
        and table.columns == ()
        and table.classes is None
        and table.split == IN_ORDER
        and table.shape == shape
        and table.sizes == sizes_of(IN_ORDER, shape.examples)
        and table.rows == shape.examples
        and list(text.vocabulary) == sorted(set(text.vocabulary))
        and text.rare < text.characters <= text.bytes
    )
    if not sound:
        raise _broken("the parts of what it found in the text contradict each other")
