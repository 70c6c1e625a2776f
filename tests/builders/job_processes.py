"""The processes of a job that is tuned by `tests.builders.killed_jobs`, and what it has come to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from tests.builders.killed_jobs import JOB, Kill, Kills
from tests.builders.waiting import DEADLINE_S, wait_until
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, job
from whichopt.service.exit_codes import INTERRUPTED
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import JobState

ROOT = Path(__file__).resolve().parents[2]

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


class Process:
    """A process of the job in that folder, which starts it or lets it go on."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.mark = str(folder)
        environment = {
            **os.environ,
            "KILLS": self.mark,
            "KILLED_JOB": self.mark,
            "TMPDIR": str(folder / "tmp"),
        }
        code = "from tests.builders.killed_jobs import main; main()"
        self.running = subprocess.Popen(
            [sys.executable, "-c", code, str(folder / "data"), str(seed)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stopped(self) -> list[psutil.Process]:
        """The processes of the job that stand still."""
        return [one for one in family(self.mark) if one.status() == psutil.STATUS_STOPPED]

    def ended(self) -> Started:
        """Wait for its end."""
        output, errors = self.running.communicate(timeout=DEADLINE_S)
        return Started(self.running.returncode, output, errors)


def start(folder: Path, seed: int) -> Started:
    """Start the job, or let it go on, and wait for the end of its process and of all that it started."""
    done = Process(folder, seed).ended()
    wait_until(lambda: not family(str(folder)), "the trials to end with the process of their job")
    return done


def begun(folder: Path, kills: list[Kill]) -> Kills:
    (folder / "tmp").mkdir(parents=True)
    made = Kills(folder)
    made.write(kills)
    return made


def outcome(folder: Path, uid: str, *, most_attempts: int = 1) -> tuple[Any, list[Any]]:
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
    assert 1 in attempts
    assert max(attempts) <= most_attempts, "a kill is no fault of the function"
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
