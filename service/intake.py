"""Keeps the readers of uploaded files: one at a time for the whole service, each in a thread of its own.

The thread waits for its turn, starts the process (`whichopt.service.reading`), writes how far it is, and at
the end puts the columns into the blob folder and what was found into the database. Whatever goes wrong, no
part of it stays. If this process ends, the dataset's row has no sign of life any more, and a reaper says so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from whichopt.service import blobs, reading
from whichopt.service.data_root import Lying
from whichopt.service.db import DatabaseError, Store, passes
from whichopt.service.errors import Unavailable
from whichopt.service.failures import failure
from whichopt.service.receiving import Received, no_room, room_left, used
from whichopt.service.settings import Settings
from whichopt.service.storage import storage_trouble
from whichopt.service.uploads import Choices
from whichopt.service.views.datasets import STOPPED, DatasetProblem, DatasetProgress

FORMATS = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-npz": "npz",
    "application/x-npy": "npy",
    "application/zip": "zip",
    "text/plain": "plain",
}
"""The formats of files by media type."""

MOST_WAITING = 8
"""Files that a process of the API reads or has waiting; each may be as large as a file may be."""

WRITE_S = 0.5
"""Seconds between two writes of progress."""

BEAT_S = 5.0
"""Seconds between two signs of life while there is no progress to write."""

TURN_S = 0.2
"""Seconds between two looks if it is this file's turn."""

LOCK = "reading.lock"

log = structlog.get_logger()


@dataclass(frozen=True)
class Sending:
    """A file that is to be read into the row `uid`."""

    uid: str
    file: Received | Lying
    format: str
    choices: Choices


class Keeper:
    """Has files read, and keeps what was found in them. It belongs to one process of the API."""

    def __init__(self, store: Store, settings: Settings, *, command: Sequence[str] = reading.COMMAND) -> None:
        self._store = store
        self._settings = settings
        self._command = command
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(MOST_WAITING, thread_name_prefix="intake")
        self._counting = threading.Lock()
        self._count = 0

    def expect(self) -> None:
        """Refuse a file if too many wait already.

        Raises:
            Unavailable: they do.
        """
        if self._count >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} uploaded files are read or wait for it; try again in a moment")

    def start(self, sending: Sending) -> Future[None]:
        """Read the file, which then belongs to the keeper. What comes of it stands in the dataset's row."""
        with self._counting:
            self._count += 1
        try:
            return self._threads.submit(self._keep, sending)
        except BaseException:
            self._ended(sending)
            raise

    def stop(self) -> None:
        """End the readers; what they were at is marked as failed."""
        self._stopping.set()
        self._threads.shutdown(wait=True, cancel_futures=False)

    def room(self) -> int:
        """Return the bytes that uploads may still take."""
        with self._store.read() as tx:
            kept = tx.datasets.contents()
        return room_left(self._settings.blobs, kept, most=self._settings.uploads_bytes)

    def check_room(self) -> None:
        """Raise DatasetTooLarge if uploads take more than they may: several files may come at once."""
        with self._store.read() as tx:
            kept = tx.datasets.contents()
        if used(self._settings.blobs, kept) > self._settings.uploads_bytes:
            raise no_room(0)

    # -- in a thread of the keeper -------------------------------------------------------------------

    def _keep(self, sending: Sending) -> None:
        try:
            problem = self._problem(sending)
            if problem is not None:
                with self._store.transaction() as tx:
                    tx.datasets.fail(sending.uid, problem)
        except Exception as error:  # noqa: BLE001
            # The database is away: the row gets no sign of life, and a reaper will fail it.
            log.error("dataset_not_marked", dataset=sending.uid, **failure(error))
        finally:
            self._ended(sending)

    def _ended(self, sending: Sending) -> None:
        with self._counting:
            self._count -= 1
        sending.file.remove()

    def _problem(self, sending: Sending) -> DatasetProblem | None:
        """Read the file and write what was found; return what went wrong, or None."""
        sign = _Signs(self._store, sending, self._stopping)
        try:
            with self._turn(sign), _folder(self._settings.blobs) as folder:
                self._read(sending, folder, sign)
        except reading.ReaderFailed as error:
            log.info("dataset_not_read", dataset=sending.uid, code=error.problem.code)
            return error.problem
        except reading.NotWanted:
            return STOPPED  # which nobody reads if the dataset was deleted
        except Exception as error:  # noqa: BLE001
            log.error("dataset_not_kept", dataset=sending.uid, **failure(error))
            trouble = storage_trouble(error)
            if trouble is not None:
                return DatasetProblem(code=trouble.code, detail=trouble.detail)
            return DatasetProblem(
                code="internal", detail="an unexpected error occurred; the service's log has the details"
            )
        return None

    def _read(self, sending: Sending, folder: Path, sign: _Signs) -> None:
        settings = self._settings
        found = reading.read(
            self._request(sending, folder),
            folder,
            seconds=settings.intake_s,
            most_bytes=settings.max_table_bytes,
            progressed=sign.progressed,
            wanted=sign.wanted,
            command=self._command,
        )
        with self._store.read() as tx:
            kept = tx.datasets.contents()
        if found.content not in kept:
            room = room_left(settings.blobs, kept, most=settings.uploads_bytes) + sending.file.held
            if found.bytes > room:
                refusal = no_room(room)
                raise reading.ReaderFailed(DatasetProblem(code=refusal.code, detail=refusal.detail))
        blobs.adopt(settings.blobs, found.part, found.content)
        with self._store.transaction() as tx:
            tx.datasets.finish(sending.uid, found.table, found.content, preview_s=settings.preview_s)
        log.info("dataset_read", dataset=sending.uid, rows=found.table.rows, blob=found.content)

    def _request(self, sending: Sending, folder: Path) -> dict[str, Any]:
        settings = self._settings
        return {
            "file": str(sending.file.path.absolute()),
            "format": sending.format,
            "choices": sending.choices.model_dump(mode="json"),
            "folder": str(folder.absolute()),
            "limits": settings.reader_limits,
        }

    @contextmanager
    def _turn(self, sign: _Signs) -> Iterator[None]:
        """Wait until no other file is read, by this process or another one of the service."""
        with _Lock(self._settings.blobs / LOCK) as lock:
            while not lock.taken():
                if not sign.wanted():
                    raise reading.NotWanted
                self._stopping.wait(TURN_S)
            yield


class _Signs:
    """Writes progress and signs of life, and knows if the dataset is still wanted."""

    def __init__(self, store: Store, sending: Sending, stopping: threading.Event) -> None:
        self._store = store
        self._sending = sending
        self._stopping = stopping
        self._progress: DatasetProgress | None = None
        self._written_at = time.monotonic()
        self._wanted = True

    def progressed(self, progress: reading.Progress) -> None:
        self._progress = DatasetProgress(
            bytes=self._sending.file.bytes, rows=progress.rows, share=progress.share
        )

    def wanted(self) -> bool:
        """Give a sign if it is time for one; return False if the service stops or the dataset was deleted."""
        pause = BEAT_S if self._progress is None else WRITE_S
        if self._wanted and time.monotonic() - self._written_at >= pause:
            try:
                with self._store.transaction() as tx:
                    self._wanted = tx.datasets.beat(self._sending.uid, self._progress)
            except DatabaseError as error:
                if not passes(error):
                    raise
                log.warning("progress_not_written", dataset=self._sending.uid, **failure(error))
            self._written_at, self._progress = time.monotonic(), None
        return self._wanted and not self._stopping.is_set()


class _Lock:
    """The lock that all processes of a service take to read a file; it goes with the process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._handle: int | None = None

    def __enter__(self) -> _Lock:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def taken(self) -> bool:
        """Try to take it; tell if it is ours."""
        import fcntl  # which Windows lacks, where no service runs

        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.utime(handle)  # a file that nobody has touched for an hour is collected
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    """Make a folder for what a reader writes; all that is left in it goes with it."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=blobs.PART))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
