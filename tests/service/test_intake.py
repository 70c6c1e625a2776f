"""The keeper of readers: one file at a time, nothing left behind, and words for what was stopped."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.builders.datasets import READER, states
from tests.builders.waiting import wait_until
from whichopt.service.db import Store
from whichopt.service.errors import DatasetTooLarge, Unavailable
from whichopt.service.intake import LOCK, MOST_WAITING, Keeper, Sending, _Lock
from whichopt.service.receiving import receive
from whichopt.service.settings import Settings
from whichopt.service.uploads import Choices, File

ROWS = "a,b,y\n" + "1,2,3\n" * 100


@pytest.fixture
def keeper(lite: Store, settings: Settings) -> Iterator[Keeper]:
    keeper = Keeper(lite, settings, command=READER)
    yield keeper
    keeper.stop()


def sending(store: Store, settings: Settings, text: str, name: str = "mine") -> Sending:
    """A file that has come, and its row."""

    async def body() -> AsyncIterator[bytes]:
        yield text.encode()

    received = asyncio.run(receive(body(), settings.blobs, most=10_000, room=10_000))
    file = File(name=None, bytes=received.bytes, sha256=received.sha256)
    with store.transaction() as tx:
        uid = tx.datasets.add(name, preview=False, file=file, choices=Choices(), api_key_id=None)
    return Sending(uid, received, "csv", Choices())


def left(settings: Settings) -> list[str]:
    return [file.name for file in settings.blobs.iterdir() if file.name != LOCK]


def test_two_keepers_read_one_after_the_other(lite: Store, settings: Settings, keeper: Keeper) -> None:
    """As two processes of the API do: the lock is of an open file, not of a process."""
    other = Keeper(lite, settings, command=READER)
    with _Lock(settings.blobs / LOCK) as lock:
        assert lock.taken()
        waiting = [
            keeper.start(sending(lite, settings, ROWS, "first")),
            other.start(sending(lite, settings, ROWS, "second")),
        ]
        time.sleep(0.5)
        assert not any(each.done() for each in waiting)
    for each in waiting:
        each.result(60)
    assert states(lite) == {"first": "ready", "second": "ready"}
    other.stop()


def test_a_service_that_stops_says_so_and_leaves_nothing(lite: Store, settings: Settings) -> None:
    keeper = Keeper(lite, settings, command=READER)
    keeper.start(sending(lite, settings, "slow 60\n"))
    wait_until(lambda: any((settings.blobs).glob("part-*/")), "its reader")
    keeper.stop()
    with lite.read() as tx:
        row = tx.datasets.named("mine")
    assert row is not None
    assert row.view.problem is not None
    assert "send it again" in row.view.problem.detail
    assert left(settings) == []


def test_progress_is_shown(lite: Store, settings: Settings, keeper: Keeper) -> None:
    keeper.start(sending(lite, settings, "slow 60\n"))

    def rows() -> int | None:
        with lite.read() as tx:
            row = tx.datasets.named("mine")
        return None if row is None else row.view.progress.rows

    wait_until(lambda: rows() == 7, "its progress")
    with lite.transaction() as tx:
        row = tx.datasets.named("mine")
        assert row is not None
        tx.datasets.remove(row.uid)
    wait_until(lambda: left(settings) == [], "the end of the reader of what was deleted")


def test_a_reader_that_takes_too_long_is_ended(lite: Store, settings: Settings) -> None:
    keeper = Keeper(lite, settings.model_copy(update={"intake_s": 0.5}), command=READER)
    keeper.start(sending(lite, settings, "slow 60\n")).result(60)
    with lite.read() as tx:
        row = tx.datasets.named("mine")
    assert row is not None
    assert row.view.problem is not None
    assert row.view.problem.code == "dataset_too_large"
    assert "WHICHOPT_INTAKE_S" in row.view.problem.detail
    assert left(settings) == []
    keeper.stop()


def test_too_many_at_once_are_put_off(lite: Store, settings: Settings, keeper: Keeper) -> None:
    with _Lock(settings.blobs / LOCK) as lock:
        assert lock.taken()
        for n in range(MOST_WAITING):
            keeper.expect()
            keeper.start(sending(lite, settings, ROWS, f"file-{n}"))
        with pytest.raises(Unavailable, match="try again"):
            keeper.expect()


def test_memory_stays_flat_while_a_file_comes(tmp_path: Path) -> None:
    piece = b"x" * 65_536

    async def body() -> AsyncIterator[bytes]:
        for _ in range(640):
            yield piece

    tracemalloc.start()
    received = asyncio.run(receive(body(), tmp_path, most=1 << 30, room=1 << 30))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert received.bytes == 640 * len(piece) == received.path.stat().st_size
    assert peak < received.bytes / 4


def test_nothing_stays_of_what_does_not_come_whole(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a" * 100
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(receive(broken(), tmp_path, most=1000, room=1000))
    with pytest.raises(DatasetTooLarge, match="WHICHOPT_MAX_UPLOAD_BYTES"):
        asyncio.run(receive(broken(), tmp_path, most=99, room=1000))
    assert list(tmp_path.iterdir()) == []
