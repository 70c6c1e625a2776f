"""A job whose processes are killed at drawn moments ends as one that nobody disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.builders.job_processes import STATUS, Started, begun, outcome, start
from tests.builders.killed_jobs import Kill, drawn


def ends_as_if_undisturbed(folder: Path, kills: list[Kill], seed: int) -> Iterator[tuple[Kill, Started]]:
    """Kill the job until it has ended, and compare; yields each kill with the process that it met."""
    whole = folder / "whole"
    begun(whole, [])
    told = start(whole, seed).told
    assert told["open"] == []
    expected = outcome(whole, told["uid"])
    killed = folder / "killed"
    known = begun(killed, kills)
    for _ in range(len(kills) + 1):
        before = len(known.done)
        process = start(killed, seed)
        done = known.done[before:]
        yield from ((kill, process) for kill in done)
        if process.status == 0:
            break
        ends = {STATUS[kill.signal] for kill in done if kill.victim != "child"}
        if any(kill.victim == "child" for kill in done) and "was ended by signal 9" in process.errors:
            ends.add(1)  # twice the same trial, which had got no further
        assert process.status in ends, process.errors
    assert process.status == 0, process.errors
    assert process.told["open"] == []
    assert outcome(killed, process.told["uid"]) == expected


FEW = [
    Kill("parent", "SIGKILL", "report", 12),
    Kill("child", "SIGKILL", "step", 5),
    Kill("parent", "SIGINT", "before a transaction", 9),
]


@pytest.mark.journey
def test_killed_it_goes_on_to_the_same_answer(tmp_path: Path) -> None:
    assert [kill for kill, _ in ends_as_if_undisturbed(tmp_path, FEW, 0)] == FEW


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_campaign_of_kills(tmp_path: Path, seed: int) -> None:
    """At least 20 kills a seed; what a job is too short for, the next one gets."""
    left = drawn(seed, 24)
    for number in count():
        met = 0
        for kill, process in ends_as_if_undisturbed(tmp_path / str(number), left, 100 * seed + number):
            met += 1
            print(f"seed {seed}, job {number}: {kill}; the process ended with {process.status}")  # noqa: T201
        left = left[met:]
        if not left:
            break
