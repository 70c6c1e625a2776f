"""A job whose processes are killed at drawn moments ends as one that nobody disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from tests.builders.killed_jobs import JOB, Kill, Kills, drawn
from tests.builders.waiting import DEADLINE_S, wait_until
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, job
from whichopt.service.exit_codes import INTERRUPTED
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import JobState

ROOT = Path(__file__).resolve().parents[3]

STATUS = {"SIGKILL": -signal.SIGKILL, "SIGTERM": -signal.SIGTERM, "SIGINT": INTERRUPTED}
"""The exit status of the process of the job, by what it was ended by."""


@dataclass(frozen=True)
class Started:
    """A process of the job that has ended."""

    status: int
    output: str
    errors: str

    @property
    def told(self) -> dict[str, Any]:
        """What it says at its end: the job, and what it left open."""
        told: dict[str, Any] = json.loads(self.output)
        return told


def family(mark: str) -> list[psutil.Process]:
    """The processes that have the mark in their environment, as all that a marked one starts have."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("KILLED_JOB") == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def start(folder: Path, seed: int) -> Started:
    """Start the job, or let it go on, and wait for the end of its process and of all that it started."""
    mark = str(folder)
    environment = {**os.environ, "KILLS": mark, "KILLED_JOB": mark, "TMPDIR": str(folder / "tmp")}
    code = "from tests.builders.killed_jobs import main; main()"
    command = [sys.executable, "-c", code, str(folder / "data"), str(seed)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    wait_until(lambda: not family(mark), "the trials to end with the process of their job")
    return Started(done.returncode, done.stdout, done.stderr)


def begun(folder: Path, kills: list[Kill]) -> Kills:
    (folder / "tmp").mkdir(parents=True)
    made = Kills(folder)
    made.write(kills)
    return made


def outcome(folder: Path, uid: str) -> tuple[Any, list[Any]]:
    """All that must not depend on kills: everything but ids and times; and nothing is there twice."""
    store = Store(sqlite_url(folder / "data" / "whichopt.db"))
    try:
        with store.read() as tx:
            job_id = tx.jobs.id_of(uid)
            assert job_id is not None
            record = tx.records.of_job(uid)
            jobs = list(tx.connection.scalars(sa.select(job.c.uid)))
            attempts = set(tx.connection.scalars(sa.select(cohort.c.attempt)))
            elapsed_s = tx.jobs.elapsed_s(job_id)
            blobs = tx.blobs.referenced()
    finally:
        store.close()
    assert jobs == [uid], "each start went on with it"
    assert record is not None
    assert record.state is JobState.SUCCEEDED
    assert record.recommendation is not None
    assert attempts == {1}, "a kill is no fault of the function"
    trials = []
    for one in record.trials:
        assert one.result is not None
        result = one.result.model_dump(mode="json", exclude={"seconds"})
        trials.append([one.state.value, one.plan.model_dump(mode="json"), result])
    keys = [(one.plan.phase, one.plan.label, one.plan.replicate, one.plan.number) for one in record.trials]
    assert len(set(keys)) == len(keys)
    trained_s = sum(one.result.seconds for one in record.trials if one.result is not None)
    assert elapsed_s is not None
    assert elapsed_s >= trained_s / JOB["processes"], "time that stood still is taken off once"
    left = [*(folder / "tmp").glob("whichopt-*"), *(folder / "data" / "runs").iterdir()]
    assert left == [], "no checkpoint of a trial is left"
    kept = {file.name for file in (folder / "data" / "blobs").iterdir()}
    assert blobs <= kept
    found = record.recommendation.model_dump(mode="json", exclude={"job_id"})
    for part in (found["cost"], *found["ranking"]):
        del part["seconds"]
    return found, trials


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
