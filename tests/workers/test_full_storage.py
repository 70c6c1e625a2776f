"""A disk that fills up under a worker: what was trained, planned or drawn waits, and goes on with space."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tests.builders.concluded_jobs import concluded_job
from tests.builders.jobs import add_job, add_round, must_claim
from tests.builders.messages import Bell, answer, answer_all, bell, submit, view
from tests.builders.waiting import wait_until
from whichopt.service import blobs, reaper, reporting
from whichopt.service.db import Store
from whichopt.service.db.cohorts import Beat, Claim, Cohorts
from whichopt.service.db.lost import MAX_PLANNERS
from whichopt.service.db.migrate import upgrade
from whichopt.service.db.reports import MAX_ATTEMPTS, ReportRow
from whichopt.service.db.tables import job
from whichopt.service.settings import Settings
from whichopt.service.states import JobState
from whichopt.workers import jobs, lease


def no_space(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


class Disk:
    """The disk of an SQLite database; while it is full, whatever is written finds no page."""

    def __init__(self, store: Store) -> None:
        self.is_full = False
        self.refusals = 0
        sa.event.listen(store.engine, "begin", self._limit)
        sa.event.listen(store.engine, "before_cursor_execute", self._refuse)

    def _limit(self, connection: sa.Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() if self.is_full else 1 << 30
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    def _refuse(self, connection: sa.Connection, _: Any, statement: str, *__: Any) -> None:
        """An update in place needs no page of the file, but one of the log: take them all."""
        writes = connection.get_execution_options().get("writes") and statement.startswith(
            ("UPDATE", "INSERT")
        )
        if self.is_full and writes:
            self.refusals += 1
            connection.exec_driver_sql("CREATE TABLE filler AS SELECT zeroblob(1000000)")


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'full.db'}")
    upgrade(store)
    yield store
    store.close()


@pytest.fixture
def disk(lite: Store) -> Disk:
    return Disk(lite)


@pytest.fixture
def worker(lite: Store, tmp_path: Path) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", tick_s=0.02, lease_s=0.2, ring_again_s=1e-6)
    return jobs.Context(lite, Bell(), settings, worker_name="w1")


def test_results_wait_for_space_and_count_no_attempt(
    worker: jobs.Context, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = submit(worker)
    bell(worker).plan(job_id)
    answer(worker, bell(worker).rung.pop(0))
    train = jobs._train

    def trains_while_it_fills_up(*arguments: Any) -> Any:
        results = train(*arguments)
        disk.is_full = True
        return results

    monkeypatch.setattr(jobs, "_train", trains_while_it_fills_up)
    kind, cohort_id = bell(worker).rung.pop(0)
    assert kind == "cohort"
    running = threading.Thread(target=jobs.run_cohort, args=(worker, cohort_id))
    with capture_logs() as logged:
        running.start()
        wait_until(lambda: disk.refusals > 30, "ticks and attempts to be refused, for longer than a lease")
        assert running.is_alive()
        disk.is_full = False
        running.join()
    told = [line["event"] for line in logged]
    assert told.count("cohort_waits_to_be_kept") == 1, "not at each attempt"
    (finished,) = [line for line in logged if line["event"] == "finished"]
    assert finished["kept"]
    monkeypatch.undo()
    answer_all(worker)
    assert view(worker, uid).state is JobState.SUCCEEDED
    with worker.store.read() as tx:
        attempts = tx.connection.scalars(sa.text("SELECT attempt FROM cohort")).all()
    assert set(attempts) == {1}


def test_a_planner_without_space_neither_fails_the_job_nor_counts(
    worker: jobs.Context, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = submit(worker)
    for place in ("whichopt.workers.jobs.settle", "whichopt.service.db.jobs.Jobs.add_round"):
        with monkeypatch.context() as patch, capture_logs() as logged:
            patch.setattr(
                place, no_space if place.startswith("whichopt.workers") else lambda *_, **__: disk_full()
            )
            for _ in range(MAX_PLANNERS + 1):
                jobs.plan_round(worker, job_id)
        assert {line["event"] for line in logged} == {"planning_waits"}
        with worker.store.read() as tx:
            assert tx.connection.scalar(sa.select(job.c.plan_rings)) == 0
    disk.is_full = True
    with pytest.raises(sa.exc.OperationalError, match="full"):
        jobs.plan_round(worker, job_id)  # even its beginning cannot be noted: the reaper rings again
    disk.is_full = False
    bell(worker).plan(job_id)
    answer_all(worker)
    assert view(worker, uid).state is JobState.SUCCEEDED


def disk_full() -> Any:
    raise sa.exc.OperationalError("INSERT", {}, sqlite_full())


def sqlite_full() -> Exception:
    """What SQLite itself raises."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count=1")
    try:
        connection.execute("CREATE TABLE t (x)")
    except sqlite3.OperationalError as error:
        return error
    finally:
        connection.close()
    raise AssertionError("a table in no page")


def test_training_without_space_gives_the_cohort_back(
    worker: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = submit(worker)
    bell(worker).plan(job_id)
    answer(worker, bell(worker).rung.pop(0))
    rung = list(bell(worker).rung)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "_train", no_space)
        for _ in range(2 * worker.settings.attempts):
            answer(worker, rung[0])
    assert view(worker, uid).state is JobState.RUNNING
    answer_all(worker)
    assert view(worker, uid).state is JobState.SUCCEEDED


# -- leases --------------------------------------------------------------------------------------------


@pytest.fixture
def claim(lite: Store) -> Claim:
    job_id, _ = add_job(lite)
    return must_claim(lite, add_round(lite, job_id)[0])


def test_a_lease_goes_on_while_nobody_can_write(lite: Store, disk: Disk, claim: Claim) -> None:
    with lease.Lease(lite, claim, Settings(tick_s=0.01, lease_s=0.05)) as held, capture_logs() as logged:
        disk.is_full = True
        wait_until(lambda: disk.refusals > 20, "ticks to be refused")
        disk.is_full = False
        assert held.heard is Beat.GO_ON
        assert [line["event"] for line in logged] == ["tick_failed"], "told once"


def test_a_lease_ends_with_what_no_database_raises(
    lite: Store, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AttributeError("a fault of ours")

    monkeypatch.setattr(Cohorts, "beat", fail)
    with capture_logs() as logged, lease.Lease(lite, claim, Settings(tick_s=0.01)) as held:
        wait_until(held.cancelled, "training to be told")
        assert held.heard is Beat.LOST
        held.join()  # nobody renews it any more
    assert [line["event"] for line in logged] == ["step_failed"]


def test_what_is_not_the_disks_fault_is_not_tried_again(lite: Store, claim: Claim) -> None:
    with (
        lease.Lease(lite, claim, Settings(tick_s=0.01)) as held,
        pytest.raises(sa.exc.IntegrityError),
    ):
        held.keep(lambda tx: tx.connection.execute(sa.text("INSERT INTO worker DEFAULT VALUES")))


# -- reports -------------------------------------------------------------------------------------------


def row(store: Store, uid: str) -> ReportRow:
    with store.read() as tx:
        found = tx.reports.of_job(uid)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "place",
    ["tempfile.mkstemp", "whichopt.service.blobs.save", "whichopt.service.evidence.report.html.render_html"],
)
def test_a_report_that_finds_no_space_is_tried_until_it_does(
    worker: jobs.Context, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = concluded_job(worker.store)
    with worker.store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    monkeypatch.setattr(reaper, "REPORT_PATIENCE", 1)
    monkeypatch.setattr("whichopt.service.evidence.report.html.render_html", lambda _: "<p>drawn</p>")
    with monkeypatch.context() as patch:
        if place == "whichopt.service.blobs.save":
            patch.setattr("whichopt.service.blobs.check", lambda _: None)  # there was space when it was begun
        patch.setattr(place, no_space)
        for _ in range(MAX_ATTEMPTS + 1):
            jobs.make_report(worker, job_id)
    found = row(worker.store, uid)
    assert (found.attempts, found.error) == (0, None)
    reaper.sweep(worker.store, worker.dispatcher, worker.settings)
    assert bell(worker).reports == [job_id]
    jobs.make_report(worker, job_id)
    assert set(row(worker.store, uid).blobs) == {"html", "json"}


def test_a_folder_without_space_is_not_drawn_for(
    worker: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = concluded_job(worker.store)
    drawn: list[object] = []
    monkeypatch.setattr(reporting, "evidence", lambda *_: drawn.append(1))
    monkeypatch.setattr(blobs, "save", no_space)
    jobs.make_report(worker, job_id)
    assert drawn == []
    assert row(worker.store, uid).revision is None or row(worker.store, uid).attempts == 0
