"""What is kept of a process's tables and splits, by bytes."""

from __future__ import annotations

from whichopt.workers.workload.cached import Cached


def _sizes(cached: Cached, *sizes: int) -> list[bool]:
    """Ask for values of these sizes; whether each had to be made."""
    made = list[int]()

    def make(size: int) -> int:
        made.append(size)
        return size

    def get(size: int) -> bool:
        before = len(made)
        assert cached.get(size, lambda: make(size), lambda value: value) == size
        return len(made) > before

    return [get(size) for size in sizes]


def test_what_was_asked_for_last_stays_as_far_as_the_bytes_go() -> None:
    cached = Cached(100)
    assert _sizes(cached, 10, 20, 10, 20) == [True, True, False, False]
    assert _sizes(cached, 60, 10, 20) == [True, False, False]
    assert cached.bytes == 90
    assert _sizes(cached, 80) == [True], "60 was not asked for longest, and then 10"
    assert cached.bytes == 100
    assert _sizes(cached, 20, 80, 10) == [False, False, True]


def test_the_last_one_stays_however_large_it_is() -> None:
    cached = Cached(100)
    assert _sizes(cached, 10, 500, 500) == [True, True, False]
    assert cached.bytes == 500


def test_room_is_made_before_another_is_made() -> None:
    cached = Cached(100)
    _sizes(cached, 80)
    assert cached.get("next", lambda: cached.bytes, lambda _: 10) == 0
