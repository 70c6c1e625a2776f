"""The broker of a home that answers, but not as it should."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from whichopt.workers.embedded.broker import Broker


class Server:
    """A client whose server answers with an error."""

    def __init__(self, error: redis.RedisError | None) -> None:
        self.error = error

    def ping(self) -> bool:
        if self.error is not None:
            raise self.error
        return True


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (None, False),
        (redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), False),
        (redis.BusyLoadingError("LOADING"), False),
        (redis.TimeoutError("slow"), False),
        (redis.ConnectionError("refused"), True),
    ],
)
def test_only_a_server_that_nobody_hears_is_gone(
    error: redis.RedisError | None, gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was taken over and lives is not started a second time on the same files."""
    broker = Broker(tmp_path)
    broker.socket.touch()
    monkeypatch.setattr(broker, "_client", lambda: Server(error))
    spawned: list[object] = []

    class Process:
        def __init__(self, *arguments: object, **_: object) -> None:
            spawned.append(arguments)

    monkeypatch.setattr("whichopt.workers.embedded.broker.subprocess.Popen", Process)
    assert broker.ended() == gone
    broker.start()
    assert bool(spawned) == gone
    broker.socket.unlink()
