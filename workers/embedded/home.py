"""A home: the embedded service over one data folder, its children started, watched and ended."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

from whichopt.service.alive import why_not
from whichopt.service.exit_codes import UNAVAILABLE
from whichopt.service.sqlite_url import sqlite_url
from whichopt.workers import data_folder, gpus
from whichopt.workers.embedded import listening
from whichopt.workers.embedded.broker import Broker
from whichopt.workers.embedded.child import Child
from whichopt.workers.embedded.last_words import last_words
from whichopt.workers.embedded.outlast import Again, say, write_whole

API_START_S = 30.0
STOP_S = 15.0
"""Seconds that children may take to end before they are killed."""

STOP_EARLY_S = 1.0
"""The same before the home was announced: its children only import, and what they train goes on elsewhere."""


class CannotStart(Exception):
    """Said to the user as it is."""


class AskedToStop(Exception):
    """Ctrl-C while something is waited for."""


class Home:
    """The embedded service over one data folder."""

    def __init__(
        self, *, host: str, port: int, data: Path, workers: int, gpus_asked: str = "all", base_path: str = ""
    ) -> None:
        self.host, self.port, self.base_path = host, port, base_path
        self.data = _own_folder(data)
        self.lock = _lock(self.data)
        self.broker = Broker(self.data)
        self.database_url = sqlite_url(self.data / "whichopt.db")
        self.environment = environment = {
            **os.environ,
            "PYTHONSAFEPATH": "1",  # a types.py or queue.py in this folder is not Python's
            "WHICHOPT_DATABASE_URL": self.database_url,
            "WHICHOPT_BROKER_URL": self.broker.url,
            "WHICHOPT_BLOBS": str(self.data / "blobs"),
        }
        self.logs = logs = self.data / "logs"
        logs.mkdir(exist_ok=True)
        serve = ["-m", "uvicorn", "--factory", "whichopt.service.app:from_environment", "--log-level=warning"]
        # uvicorn imports from the current folder first, unless another is named.
        serve.append(f"--app-dir={Path(sys.modules['whichopt'].__path__[0]).parent}")
        self.api = Child(
            "the API",
            [sys.executable, *serve, f"--host={host}", f"--port={port}", "--timeout-graceful-shutdown=3"],
            environment,
            logs / "api.log",
        )
        self.workers = [self._worker("the worker", "worker.log", "--queue=cpu", f"--processes={workers}")]
        self.gpus_asked = gpus_asked
        self.stop_asked = False
        self.announced = False
        self.interruptible = False
        self.remarks: set[str] = set()

    @property
    def url(self) -> str:
        return listening.url_of(self.host, self.port)

    def start(self, announce: Callable[[str], None]) -> None:
        """Starts everything; `announce` gets the page link once the API answers."""
        problem = listening.why_not(self.host, self.port)
        if problem:
            raise CannotStart(problem)
        (self.data / "url").unlink(missing_ok=True)  # of a home that was killed
        self.broker.start()
        for worker in self.workers:
            worker.start()
        self.api.start()
        for worker in self._gpu_workers():
            worker.start()
            self.workers.append(worker)
        try:
            self.interruptible = True
            key = self._prepare_database()
            self.broker.wait()
            self._wait_for_api()
        except AskedToStop:
            return
        finally:
            self.interruptible = False
        if self.stop_asked:
            return
        self.announced = True
        write_whole(self.data / "url", self.url + "\n")
        announce(f"{self.url}{self.base_path}/?key={key}")

    def watch(self) -> None:
        """Returns once asked to stop; starts again what ends by itself, however often.

        What ends again and again, as on a full disk, is started after ever longer pauses.
        """
        broker_again = Again()
        while not self.stop_asked:
            for child in (self.api, *self.workers):
                if child.ended() and not self._goes_on_without(child):
                    child.again.attempt(
                        child.start, f"{child.name} ended", f"log: {child.log}{last_words(child.log)}"
                    )
            if self.broker.ended():
                broker_again.attempt(self._start_broker, "the broker ended", f"log: {self.broker.log}")
            time.sleep(0.25)

    def _start_broker(self) -> None:
        self.broker.start()
        self.broker.wait()

    def stop(self) -> None:
        """Ends everything, workers first: their cohorts are given back, and nothing is left running."""
        with contextlib.suppress(OSError):  # a disk that cannot be written leaves nothing running
            (self.data / "url").unlink(missing_ok=True)
        deadline = time.monotonic() + (STOP_S if self.announced else STOP_EARLY_S)
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            worker.make_stop(deadline)
        self.api.ask_to_stop()
        self.api.make_stop(deadline)
        self.broker.stop()
        self.lock.close()

    def ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Hears of Ctrl-C; ends at once what a start waits for, as imports alone may take seconds."""
        self.stop_asked = True
        if self.interruptible:
            self.interruptible = False
            raise AskedToStop

    def _worker(self, name: str, log: str, *options: str) -> Child:
        command = [sys.executable, "-m", "whichopt.workers", *options]
        return Child(name, command, self.environment, self.logs / log)

    def _gpu_workers(self) -> list[Child]:
        """A worker with a process on each GPU that is asked for, if there are any."""
        if self.gpus_asked == "0":
            return []  # whatever state the driver is in
        try:
            wanted = gpus.wanted(self.gpus_asked, gpus.visible())
        except gpus.CannotUse as error:
            if self.gpus_asked != "all":
                raise CannotStart(str(error)) from None
            say(f"whichopt: trains on the CPU alone: {error}")
            return []
        if not wanted.most:
            return []
        names = ", ".join(map(str, wanted.gpus[: wanted.most]))
        say(f"a process trains on each GPU: {names}", file=sys.stdout)
        options = ("--queue=cuda", f"--gpus={self.gpus_asked}")
        return [self._worker("the GPU worker", "gpu-worker.log", *options)]

    def _goes_on_without(self, child: Child) -> bool:
        """Drops a worker that has ended because it can have no GPU; whether it was one."""
        if child not in self.workers or not child.ended_with(UNAVAILABLE):
            return False
        self.workers.remove(child)
        say(f"whichopt: trains on the CPU alone, as no GPU can be used (log: {child.log})")
        return True

    def _prepare_database(self) -> str:
        """Migrates, ends what the last home left running, and returns the key."""
        # Imported while the API and the broker start: they are what a user waits for.
        from whichopt.service.db import DatabaseError, Store
        from whichopt.service.db.migrate import CannotMigrate
        from whichopt.service.db.troubles import in_words

        store = Store(self.database_url)
        try:
            key = data_folder.prepared(store, self.data, waits=self._waits, says=_tell, warns=_warn)
            with store.transaction() as tx:
                tx.lost.lapse_all()
        except data_folder.Unusable as error:
            raise CannotStart(str(error)) from None
        except (CannotMigrate, DatabaseError) as error:
            raise CannotStart(in_words(error, store.url)) from None
        finally:
            store.close()
        return key

    def _waits(self, words: str) -> None:
        """Says once what the migration waits for, and gives up if the home is asked to stop."""
        if self.stop_asked:
            raise AskedToStop
        if words not in self.remarks:
            self.remarks.add(words)
            _warn(words)

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + API_START_S
        while not self.stop_asked and (problem := why_not(self.url)):
            if self.api.ended() or time.monotonic() > deadline:
                raise CannotStart(f"{problem}; see {self.api.log}{last_words(self.api.log)}")
            time.sleep(0.02)


def _tell(words: str) -> None:
    say(words, file=sys.stdout)


def _warn(words: str) -> None:
    say(f"whichopt: {words}")


def _own_folder(data: Path) -> Path:
    """Make the data folder if it is not there."""
    try:
        return data_folder.made(data, option="--data")
    except data_folder.Unusable as error:
        raise CannotStart(str(error)) from None


def _lock(data: Path) -> TextIO:
    """Holds the data folder for this process alone."""
    import fcntl  # which Windows lacks: there a home says so, and starts nothing

    file = (data / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"another whichopt is running on {data}; end it, or give --data another folder"
        ) from None
    return file
