"""Several processes on one job, and a service on its folder: nothing is trained twice, nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.builders.homes import Embedded
from tests.builders.job_processes import Process, begun, outcome, start
from tests.builders.killed_jobs import Kill
from tests.builders.waiting import wait_until
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, job
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import CohortState, JobState
from whichopt.workers.own_locks import OwnLock

SEED = 3
STANDS = Kill("child", "SIGSTOP", "step", 45)
"""A trial of the job stands still until somebody lets it go on."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("whole")
    begun(folder, [])
    return outcome(folder, start(folder, SEED).told["uid"])


def test_two_processes_share_a_job_and_a_service_on_its_folder_leaves_it_to_them(
    tmp_path: Path, undisturbed: object
) -> None:
    begun(tmp_path, [STANDS])
    first = Process(tmp_path, SEED)
    wait_until(lambda: first.stopped() or first.running.poll() is not None, "a trial to stand still")
    second = Process(tmp_path, SEED)
    home = Embedded(tmp_path / "data", workers=1)
    try:
        (shown,) = home.client.jobs().items
        assert shown.state is JobState.RUNNING
        assert shown.queue == f"here-{shown.id}"
        wait_until(lambda: home.cohorts(CohortState.QUEUED) == 0, "the second process to train the others")
        assert home.client.job(shown.id).state is JobState.RUNNING
        for trial in first.stopped():
            trial.send_signal(signal.SIGCONT)
        ended = [first.ended(), second.ended()]
        assert [one.status for one in ended] == [0, 0], ended
        assert [one.told["uid"] for one in ended] == [shown.id, shown.id]
        assert home.client.recommendation(shown.id).verdict
    finally:
        home.stop()
    assert outcome(tmp_path, shown.id) == undisturbed


def test_beside_others_a_lease_tells_who_is_gone(tmp_path: Path, undisturbed: object) -> None:
    begun(tmp_path, [Kill("parent", "SIGKILL", "step", 45)])
    assert start(tmp_path, SEED).status == -signal.SIGKILL
    store = Store(sqlite_url(tmp_path / "data" / "whichopt.db"))
    with store.transaction() as tx:
        uid = tx.connection.scalars(sa.select(job.c.uid)).one()
        running = cohort.update().where(cohort.c.state == CohortState.RUNNING)
        assert tx.connection.execute(running.values(lease_until=tx.now())).rowcount == 1
    store.close()
    another = OwnLock(tmp_path / "data" / f"here-{uid}.lock")
    another.share()  # as a third process does that works on the job, too
    try:
        assert start(tmp_path, SEED).status == 0
    finally:
        another.end()
    assert outcome(tmp_path, uid, most_attempts=2) == undisturbed
