"""Several processes on one job, and a service on its folder: nothing is trained twice, nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.builders.guests import guest_spec
from tests.builders.homes import Embedded
from tests.builders.job_processes import Process, begun, outcome, start
from tests.builders.jobs import make_plans, must_claim, planning, state_of
from tests.builders.killed_jobs import Kill
from tests.builders.waiting import wait_until
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, job
from whichopt.service.errors import NotResumable
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import CohortState, JobState
from whichopt.workers.own_locks import OwnLock
from whichopt.workers.tune import door
from whichopt.workers.tune.folder import opened

pytestmark = pytest.mark.journey

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


def test_a_job_that_failed_goes_on_once_nobody_trains_a_part_of_it(tmp_path: Path) -> None:
    spec, silent = guest_spec(), lambda _: None
    with opened(tmp_path) as folder:
        uid = door._find_or_add(folder, spec, "asked", fresh=False, say=silent)
        with folder.store.read() as tx:
            job_id = tx.jobs.id_of(uid)
        assert job_id is not None
        planned = planning(folder.store, job_id)
        assert planned is not None
        with folder.store.transaction() as tx:
            ids = tx.jobs.add_round(planned, [make_plans(spec)], spec=spec, cut_short=False)
        assert ids is not None
        (cohort_id,) = ids
        must_claim(folder.store, cohort_id)
        with folder.store.transaction() as tx:
            tx.jobs.fail(job_id, code="worker_lost", detail="gone")
        with pytest.raises(NotResumable, match=f"still ending its part of job {uid}; try again"):
            door._find_or_add(folder, spec, "asked", fresh=False, say=silent)
        with folder.store.transaction() as tx:
            tx.connection.execute(cohort.update().values(lease_until=tx.now()))
        assert door._find_or_add(folder, spec, "asked", fresh=False, say=silent) == uid
        assert state_of(folder.store, uid) is JobState.RUNNING
        with folder.store.read() as tx:
            assert tx.cohorts.queued_of(job_id) == [cohort_id]
