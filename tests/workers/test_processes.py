"""How many processes train, by the cores and the memory that there are."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from whichopt.service import machine
from whichopt.workers.processes import how_many

GIGABYTE = 10**9


def given(monkeypatch: pytest.MonkeyPatch, *, cores: int, free: float, group: float | None = None) -> None:
    """A machine with that many cores and gigabytes, of which the groups leave so many."""
    monkeypatch.setattr(machine, "cores", lambda: cores)
    left = None if group is None else int(group * GIGABYTE)
    monkeypatch.setattr(machine, "memory_left", lambda: left)
    available = SimpleNamespace(available=int(free * GIGABYTE))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)


def test_a_process_on_each_core_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    given(monkeypatch, cores=6, free=16)
    assert how_many(None, "--workers", said.append) == 6
    assert how_many(9, "--workers", said.append) == 9
    assert said == []


@pytest.mark.parametrize(("free", "group", "count"), [(32, 2, 3), (2, None, 3), (2, 64, 3), (0.2, 8, 1)])
def test_no_more_processes_than_fit_the_memory(
    free: float, group: float | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    given(monkeypatch, cores=8, free=free, group=group)
    assert how_many(None, "--workers", said.append) == count
    (line,) = said
    least = min(free, free if group is None else group)
    assert line == (
        f"trains in {'1 process' if count == 1 else '3 processes'}, though it may use 8 cores: a training "
        f"process takes about 0.5 GB, and {least:.1f} GB are free; --workers sets another number"
    )


def test_the_number_that_is_asked_for_holds_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    given(monkeypatch, cores=8, free=2)
    assert how_many(3, "--processes", said.append) == 3
    assert said == []
    assert how_many(16, "--processes", said.append) == 16
    (line,) = said
    assert line.startswith("--processes=16 may run out of memory")
    assert "3 would fit" in line
