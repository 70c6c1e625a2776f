"""The reaper: rings for what was lost, adds nothing to what is still waiting, survives everything."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.builders.concluded_jobs import concluded_job
from tests.builders.jobs import LAPSED_S, add_job, add_round, must_claim
from tests.builders.waiting import DEADLINE_S
from whichopt.service import reaper
from whichopt.service.db import Store
from whichopt.service.db.tables import report
from whichopt.service.settings import Settings

SETTINGS = Settings(ring_again_s=1e-6, reap_s=0.01)


@dataclass
class Bell:
    """A broker in which `backlog` doorbells wait in every queue; None is one that does not answer."""

    backlog: int | None = 0
    planners: list[int] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)
    reports: list[int] = field(default_factory=list)

    def plan(self, job_id: int) -> None:
        self.planners.append(job_id)

    def cohorts(self, ids: Iterable[int], queue: str) -> None:
        assert queue == "cpu"
        self.workers += ids

    def report(self, job_id: int) -> None:
        self.reports.append(job_id)

    def waiting(self, _queue: str) -> int | None:
        return self.backlog

    def refusal(self) -> str | None:
        return "it does not answer" if self.backlog is None else None


def live(store: Store) -> None:
    with store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")


def test_it_rings_for_what_nobody_came_for(store: Store) -> None:
    live(store)
    first, _ = add_job(store)
    ids = add_round(store, first)
    second, _ = add_job(store)
    bell = Bell()
    reaper.sweep(store, bell, SETTINGS)
    assert (bell.workers, bell.planners) == (ids, [second])


def test_it_rings_for_a_report_that_is_owed_until_it_is_there(store: Store) -> None:
    live(store)
    job_id, uid = concluded_job(store)
    bell = Bell()
    reaper.sweep(store, bell, SETTINGS)
    assert (bell.planners, bell.reports) == ([], [job_id])
    with store.transaction() as tx:
        row = tx.reports.of_job(uid)
        assert row is not None
        tx.reports.begin(job_id, row.job_revision, "r")
        for form in ("json", "html"):
            tx.reports.keep(job_id, row.job_revision, "r", form=form, blob=form)
    reaper.sweep(store, bell, SETTINGS)
    assert bell.reports == [job_id]


def test_it_has_patience_with_a_large_report(store: Store) -> None:
    live(store)
    job_id, _ = concluded_job(store)
    bell = Bell()
    with store.transaction() as tx:
        began = datetime.now(UTC) - timedelta(seconds=60)
        tx.connection.execute(report.update().values(rung_at=began))
    reaper.sweep(store, bell, Settings(ring_again_s=20))
    assert bell.reports == [], "it may still be drawn"
    reaper.sweep(store, bell, Settings(ring_again_s=1))
    assert bell.reports == [job_id]


def test_it_takes_back_what_a_dead_worker_held_and_rings_for_it(store: Store) -> None:
    live(store)
    job_id, _ = add_job(store)
    ids = add_round(store, job_id)
    must_claim(store, ids[0], lease_s=LAPSED_S)
    bell = Bell()
    reaper.sweep(store, bell, SETTINGS)
    assert bell.workers == ids


@pytest.mark.parametrize("backlog", [2, 1000, None])
def test_it_adds_nothing_to_doorbells_that_still_wait(store: Store, backlog: int | None) -> None:
    live(store)
    first, _ = add_job(store)
    add_round(store, first)
    add_job(store)
    bell = Bell(backlog)
    for _ in range(3):
        reaper.sweep(store, bell, SETTINGS)
    assert (bell.workers, bell.planners) == ([], [])


def test_it_rings_in_no_empty_house(store: Store) -> None:
    job_id, _ = add_job(store)
    add_round(store, job_id)
    bell = Bell()
    reaper.sweep(store, bell, SETTINGS)
    assert (bell.workers, bell.planners) == ([], [])


def test_it_survives_whatever_a_sweep_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = threading.Semaphore(0)

    def breaking(*_: object) -> None:
        swept.release()
        raise RuntimeError("the pool is exhausted")

    monkeypatch.setattr(reaper, "sweep", breaking)
    thread = reaper.Reaper(Store(f"sqlite:///{tmp_path / 'x.db'}"), Bell(), SETTINGS)
    thread.start()
    for _ in range(3):
        assert swept.acquire(timeout=DEADLINE_S), "the next sweep never came"
    assert thread.is_alive()
    thread.stop()
    assert not thread.is_alive()
