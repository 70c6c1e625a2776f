"""All in one: database, broker, API and workers as children of one command, ended by one Ctrl-C.

Order of a start: broker, workers and API are spawned at once, as the workers' imports take longest. Meanwhile
the database is migrated, which the workers wait for, and leases that the last end cut off are ended. This
process imports no torch.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

from service.storage import storage_trouble
from workers import gpus
from workers.broker import Broker
from workers.outlast import Again, say, write_whole

API_START_S = 30.0
STOP_S = 15.0
"""How long children may take to end before they are killed."""

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """In a child, before its program starts: asks the kernel to end it where this home is killed."""
    assert LIBC is not None
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class CannotStart(Exception):
    """Said to the user as it is."""


class Child:
    """A process of the home, in a session of its own so that Ctrl-C does not reach it directly."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.again = Again()

    def start(self) -> None:
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

    def __init__(self, *, host: str, port: int, data: Path, workers: int, gpus_asked: str = "all") -> None:
        self.host, self.port = host, port
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data = data.resolve()
        self.lock = _lock(self.data)
        self.broker = Broker(self.data)
        self.database_url = f"sqlite:///{self.data / 'whichopt.db'}"
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

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self, announce: Callable[[str], None]) -> None:
        """Starts everything; `announce` gets the page link once the API answers."""
        _port_is_free(self.host, self.port)
        (self.data / "url").unlink(missing_ok=True)  # of a home that was killed
        self.broker.start()
        for worker in self.workers:
            worker.start()
        self.api.start()
        for worker in self._gpu_workers():
            worker.start()
            self.workers.append(worker)
        key = self._prepare_database()
        self.broker.wait()
        self._wait_for_api()
        if self.stop_asked:
            return
        write_whole(self.data / "url", self.url + "\n")
        announce(f"{self.url}/?key={key}")

    def watch(self) -> None:
        """Returns once asked to stop; starts again what ends by itself, however often.

        What ends again and again, as on a full disk, is started after ever longer pauses.
        """
        broker_again = Again()
        while not self.stop_asked:
            for child in (self.api, *self.workers):
                if child.ended() and not self._goes_on_without(child):
                    child.again.attempt(child.start, f"{child.name} ended", f"log: {child.log}")
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
        deadline = time.monotonic() + STOP_S
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            worker.make_stop(deadline)
        self.api.ask_to_stop()
        self.api.make_stop(deadline)
        self.broker.stop()
        self.lock.close()

    def ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop_asked = True

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
        if child not in self.workers or not child.ended_with(os.EX_UNAVAILABLE):
            return False
        self.workers.remove(child)
        say(f"whichopt: trains on the CPU alone: no GPU can be used (log: {child.log})")
        return True

    def _prepare_database(self) -> str:
        """Migrates, ends what the last home left running, and returns the key.

        The key is in the data folder, made at the first start, readable by its owner alone.
        """
        # Imported while the API and the broker start: they are what a user waits for.
        from service.db import Store
        from service.db.keys import new_key
        from service.db.migrate import ensure_key, upgrade

        store = Store(self.database_url)
        upgrade(store)
        with store.transaction() as tx:
            tx.cohorts.lapse_all()
        path = self.data / "api-key"
        if not path.exists() or not path.read_text().strip():
            write_whole(path, new_key() + "\n", mode=0o600)
        key = path.read_text().strip()
        ensure_key(store, key)
        store.close()
        return key

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + API_START_S
        while not self.stop_asked:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self.api.ended() or time.monotonic() > deadline:
                    raise CannotStart(f"the API does not answer at {self.url}; see {self.api.log}") from None
                time.sleep(0.02)


def _lock(data: Path) -> TextIO:
    """Holds the data folder for this process alone."""
    file = (data / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(f"another whichopt runs on {data}; end it, or give --data another folder") from None
    return file


def _port_is_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {host}:{port} ({error.strerror}); give --port another"
            ) from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.embedded", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=Path("whichopt-data"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--gpus", default="all")
    options = parser.parse_args()
    try:
        home = Home(
            host=options.host,
            port=options.port,
            data=options.data,
            workers=options.workers,
            gpus_asked=options.gpus,
        )
    except (CannotStart, OSError) as error:
        say(f"whichopt: {_told(error)}")
        return 1
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, home.ask_to_stop)
    try:
        home.start(_announce(home))
        home.watch()
        say("ending; what is unfinished goes on at the next start", file=sys.stdout)
    except (CannotStart, RuntimeError, OSError) as error:
        say(f"whichopt: {_told(error)}")
        return 1
    except Exception as error:
        if storage_trouble(error) is None:
            raise
        say(f"whichopt: {_told(error)}")
        return 1
    finally:
        home.stop()
    return 0


def _told(error: Exception) -> str:
    trouble = storage_trouble(error)
    return str(error) if trouble is None else trouble.detail


def _announce(home: Home) -> Callable[[str], None]:
    def announce(link: str) -> None:
        say(f"whichopt runs; the page:  {link}", file=sys.stdout)
        rest = f"docs {home.url}/docs, key in {home.data / 'api-key'}, Ctrl-C ends it"
        say(f"API {home.url}/v1, {rest}", file=sys.stdout)

    return announce


if __name__ == "__main__":
    sys.exit(main())
