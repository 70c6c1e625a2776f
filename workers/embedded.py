"""All in one: database, broker, API and workers as children of one command, ended by one Ctrl-C.

Order of a start: broker, workers and API are spawned at once, as the workers' imports take longest. Meanwhile
the database is migrated, which the workers wait for, and leases that the last end cut off are ended. This
process imports no torch.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from service.alive import why_not
from service.machine import why_no_workers
from service.settings import Settings, at_start
from service.sqlite_url import sqlite_url
from service.streams import prepare_output
from workers import gpus, limits, listening
from workers.broker import Broker
from workers.last_words import last_words
from workers.processes import how_many

if TYPE_CHECKING:
    from service.db import Store

API_START_S = 30.0
STOP_S = 15.0
"""How long children may take to end before they are killed."""

STOP_EARLY_S = 1.0
"""The same before the home was announced: its children only import, and what they train goes on elsewhere."""

RESTARTS = 5
"""How often a child that ends by itself is started again within RESTART_WINDOW_S."""

RESTART_WINDOW_S = 60.0

OWN = {"WHICHOPT_BLOBS"} | {
    f"WHICHOPT_{name}{end}"
    for name in ("DATABASE_URL", "DATABASE_PASSWORD", "BROKER_URL")
    for end in ("", "_FILE")
}
"""Variables that a home does not take from outside."""


UNAVAILABLE = 69
"""EX_UNAVAILABLE, the exit status of a worker that would end again."""

NO_PROCESS = "you have as many as you may; end some, or raise the limit (ulimit -u)"

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """In a child, before its program starts: asks the kernel to end it where this home is killed."""
    assert LIBC is not None
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class CannotStart(Exception):
    """Said to the user as it is."""


class _AskedToStop(Exception):
    """Ctrl-C while something is waited for."""


class Child:
    """A process of the home, in a session of its own so that Ctrl-C does not reach it directly."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.started: list[float] = []

    def start(self) -> None:
        self.started = [t for t in self.started if time.monotonic() - t < RESTART_WINDOW_S]
        if len(self.started) > RESTARTS:
            raise CannotStart(f"{self.name} ends again and again; see {self.log}{last_words(self.log)}")
        self.started.append(time.monotonic())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent if LIBC else None,
            )

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def ended_with(self, status: int) -> bool:
        return self.process is not None and self.process.poll() == status

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def make_stop(self, deadline: float) -> None:
        """Waits until `deadline`, then kills the whole session."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._kill_session()
            self.process.wait()
        self._kill_session()  # what a child may have left behind

    def _kill_session(self) -> None:
        assert self.process is not None
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Home:
    """The embedded service over one data folder."""

    def __init__(
        self, *, host: str, port: int, data: Path, workers: int, gpus_asked: str = "all", base_path: str = ""
    ) -> None:
        self.host, self.port, self.base_path = host, port, base_path
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data = data.resolve()
        self.lock = _lock(self.data)
        self.broker = Broker(self.data)
        self.database_url = sqlite_url(self.data / "whichopt.db")
        self.environment = environment = {
            **os.environ,
            "WHICHOPT_DATABASE_URL": self.database_url,
            "WHICHOPT_BROKER_URL": self.broker.url,
            "WHICHOPT_BLOBS": str(self.data / "blobs"),
        }
        self.logs = logs = self.data / "logs"
        logs.mkdir(exist_ok=True)
        serve = ["-m", "uvicorn", "--factory", "service.app:from_environment", "--log-level=warning"]
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
        self.said: set[str] = set()

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
        except _AskedToStop:
            return
        finally:
            self.interruptible = False
        if self.stop_asked:
            return
        self.announced = True
        (self.data / "url").write_text(self.url + "\n")
        announce(f"{self.url}{self.base_path}/?key={key}")

    def watch(self) -> None:
        """Returns once asked to stop; starts again what ends by itself."""
        while not self.stop_asked:
            for child in (self.api, *self.workers):
                if child.ended() and not self._goes_on_without(child):
                    print(f"{child.name} ended; starting it again (log: {child.log})", file=sys.stderr)
                    child.start()
            if self.broker.ended():
                print("the broker ended; starting it again", file=sys.stderr)
                self.broker.start()
                self.broker.wait()
            time.sleep(0.25)

    def stop(self) -> None:
        """Ends everything, workers first: their cohorts are given back, and nothing is left running."""
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
            raise _AskedToStop

    def _worker(self, name: str, log: str, *options: str) -> Child:
        command = [sys.executable, "-m", "workers", *options]
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
            print(f"whichopt: trains on the CPU alone: {error}", file=sys.stderr)
            return []
        if not wanted.most:
            return []
        print(f"a process trains on each GPU: {', '.join(map(str, wanted.gpus[: wanted.most]))}")
        options = ("--queue=cuda", f"--gpus={self.gpus_asked}")
        return [self._worker("the GPU worker", "gpu-worker.log", *options)]

    def _goes_on_without(self, child: Child) -> bool:
        """Drops a worker that has ended because it can have no GPU; whether it was one."""
        if child not in self.workers or not child.ended_with(UNAVAILABLE):
            return False
        self.workers.remove(child)
        print(f"whichopt: trains on the CPU alone: no GPU can be used (log: {child.log})", file=sys.stderr)
        return True

    def _prepare_database(self) -> str:
        """Migrates, ends what the last home left running, and returns the key.

        The key is in the data folder, made at the first start, readable by its owner alone.
        """
        # Imported while the API and the broker start: they are what a user waits for.
        from service.api_keys import WeakKey
        from service.db import DatabaseError, Store
        from service.db.keys import new_key
        from service.db.migrate import CannotMigrate, ensure_key, upgrade
        from service.db.troubles import in_words

        store = Store(self.database_url)
        try:
            self._keep_copy(store)
            upgrade(store, waits=self._waits)
            with store.transaction() as tx:
                tx.lost.lapse_all()
            path = self.data / "api-key"
            if not path.exists():
                part = path.with_name("api-key.part")  # so that an interruption leaves no empty one
                part.unlink(missing_ok=True)
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(new_key() + "\n")
                part.replace(path)
            key = path.read_text().strip()
            ensure_key(store, key)
        except WeakKey as error:
            raise CannotStart(f"{path}: {error}; or remove the file, and a key is made") from None
        except (CannotMigrate, DatabaseError) as error:
            raise CannotStart(in_words(error, store.url)) from None
        finally:
            store.close()
        return key

    def _waits(self, words: str) -> None:
        """Says once what the migration waits for, and gives up if the home is asked to stop."""
        if self.stop_asked:
            raise _AskedToStop
        if words not in self.said:
            self.said.add(words)
            print(f"whichopt: {words}", file=sys.stderr, flush=True)

    def _keep_copy(self, store: Store) -> None:
        """Copies the database before a migration changes it; one that is too large is migrated without."""
        from service.db.files import keep_copy
        from service.db.standing import Tables, head, standing

        if standing(store).tables is not Tables.OLDER:
            return
        try:
            copy = keep_copy(store, f"before-{head()}")
        except (OSError, sqlite3.Error) as error:
            print(f"whichopt: no copy of the database before its migration: {error}", file=sys.stderr)
        else:
            if copy is not None:
                print(f"an earlier version's database is migrated; {copy} is a copy from before")

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + API_START_S
        while not self.stop_asked and (problem := why_not(self.url)):
            if self.api.ended() or time.monotonic() > deadline:
                raise CannotStart(f"{problem}; see {self.api.log}{last_words(self.api.log)}")
            time.sleep(0.02)


def _lock(data: Path) -> TextIO:
    """Holds the data folder for this process alone."""
    import fcntl  # which Windows lacks: there a home says so, and starts nothing

    file = (data / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(f"another whichopt runs on {data}; end it, or give --data another folder") from None
    return file


def _own_settings() -> Settings:
    """The settings of the environment, without those that a home has its own of, whatever they say."""
    for name in OWN & os.environ.keys():
        del os.environ[name]
        print(f"whichopt: {name} is not used: 'whichopt up' has its own in --data", file=sys.stderr)
    return at_start()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.embedded", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=Path("whichopt-data"))
    parser.add_argument("--workers", type=int, help="by default what cores and memory allow")
    parser.add_argument("--gpus", default="all")
    options = parser.parse_args()
    prepare_output()
    problem = why_no_workers() or limits.why_no_semaphores()
    if problem:
        _say(problem)
        return 2
    limits.raise_open_files(_say)
    settings = _own_settings()
    try:
        home = Home(
            host=options.host,
            port=options.port,
            data=options.data,
            workers=how_many(options.workers, "--workers", _say),
            gpus_asked=options.gpus,
            base_path=settings.base_path,
        )
    except (CannotStart, OSError, RuntimeError, ValueError) as error:
        _say(str(error))
        return 1
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, home.ask_to_stop)
    try:
        home.start(_announce(home))
        home.watch()
        print("ending; what is unfinished goes on at the next start", flush=True)
    except BlockingIOError as error:
        _say(f"cannot start a process ({error.strerror}): {NO_PROCESS}")
        return 1
    except (CannotStart, OSError, RuntimeError) as error:
        _say(str(error))
        return 1
    finally:
        home.stop()
    return 0


def _announce(home: Home) -> Callable[[str], None]:
    def announce(link: str) -> None:
        print(f"whichopt runs; the page:  {link}")
        at = f"{home.url}{home.base_path}"
        print(
            f"API {at}/v1, docs {at}/docs, key in {home.data / 'api-key'}, Ctrl-C ends it",
            flush=True,
        )
        if listening.is_everywhere(home.host):
            others = f"http://{socket.gethostname()}:{home.port}{home.base_path}"
            print(f"other machines reach it at {others}, where its key is sent in the clear", flush=True)

    return announce


def _say(words: str) -> None:
    print(f"whichopt: {words}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
