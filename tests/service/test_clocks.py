"""One clock judges: the database's. Hosts whose clocks differ, machines that sleep, clocks that are set."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tests.builders.jobs import (
    LEASE_S,
    add_job,
    add_round,
    beat,
    expired,
    finish,
    must_claim,
    planning,
)
from tests.service.test_reaper import Bell, live
from whichopt.service import clocks, reaper
from whichopt.service.clocks import Clocks
from whichopt.service.db import OUT_OF_REACH, Store, Transaction
from whichopt.service.db.cohorts import Beat
from whichopt.service.db.tables import cohort, job, worker
from whichopt.service.settings import Settings

SETTINGS = Settings()
HOUR_S = 3600.0
OnHost = Callable[[float], AbstractContextManager[None]]


def _has_clock(name: str, module: Any) -> bool:
    """Tell if a module may ask for the time; the tables only ask if a value is one."""
    ours = name.startswith("whichopt.service") and name != "whichopt.service.db.tables"
    return ours and vars(module).get("datetime") is datetime


@pytest.fixture
def on_host(monkeypatch: pytest.MonkeyPatch) -> OnHost:
    """Runs a block as on a host whose clock is so many seconds ahead."""

    @contextmanager
    def host(ahead_s: float) -> Any:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) + timedelta(seconds=ahead_s)

        right = time.time
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: right() + ahead_s)
            for name, module in list(sys.modules.items()):
                if _has_clock(name, module):
                    patched.setattr(module, "datetime", Clock)
            yield

    return host


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_the_clock_of_another_host_takes_no_live_worker_for_dead(
    store: Store, on_host: OnHost, ahead_s: float
) -> None:
    live(store)
    job_id, uid = add_job(store)
    first, second = add_round(store, job_id)
    add_job(store)
    claimed = must_claim(store, first)
    bell = Bell()
    with on_host(ahead_s):
        reaper.sweep(store, bell, SETTINGS)
        theirs = must_claim(store, second)
        with store.transaction() as tx:
            tx.workers.seen("w2", queue="cpu")
            assert tx.workers.live(10) == {"cpu": 2}
    reaper.sweep(store, bell, SETTINGS)
    assert (bell.planners, bell.workers) == ([], []), "nothing has waited for long"
    with store.read() as tx:
        assert tx.workers.live(10) == {"cpu": 2}
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert abs((view.created_at - datetime.now(UTC)).total_seconds()) < HOUR_S / 2
    for held in (claimed, theirs):
        assert beat(store, held) is Beat.GO_ON
        assert finish(store, held)


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_the_clock_of_the_planners_host_ends_no_search(store: Store, on_host: OnHost, ahead_s: float) -> None:
    """`max_seconds` counts from a claim that another host has made."""
    job_id, _ = add_job(store)
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    with on_host(ahead_s):
        planned = planning(store, job_id)
    assert planned is not None
    assert 0 <= planned.running_s < HOUR_S / 2
    assert planned.elapsed_s is not None
    assert 0 <= planned.elapsed_s < HOUR_S / 2


def test_times_of_the_database_are_kept_as_ours_are(store: Store) -> None:
    """They compare as text on SQLite."""
    before = datetime.now(UTC) - timedelta(seconds=1)
    with store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
        tx.connection.execute(
            worker.update().values(started_at=datetime.now(UTC)).where(worker.c.name == "w1")
        )
        texts = sa.select(sa.cast(worker.c.seen_at, sa.Text), sa.cast(worker.c.started_at, sa.Text))
        theirs, ours = tx.connection.execute(texts).one()
        between = worker.c.seen_at.between(before, datetime.now(UTC) + timedelta(seconds=1))
        assert tx.connection.scalar(sa.select(between))
    if store.url.get_backend_name() == "sqlite":
        assert len(ours) == len(theirs) == len("2026-01-01 00:00:00.000000")


def test_what_was_rung_for_before_the_clock_was_set_back_is_rung_for_again(store: Store) -> None:
    live(store)
    job_id, _ = add_job(store)
    ids = add_round(store, job_id)
    waiting, _ = add_job(store)
    with store.transaction() as tx:
        tx.workers.seen("dead", queue="cuda")
        later = datetime.now(UTC) + timedelta(hours=1)
        for table, column in ((cohort, "rung_at"), (job, "rung_at")):
            tx.connection.execute(table.update().values({column: later}))
        tx.connection.execute(worker.update().where(worker.c.name == "dead").values(seen_at=later))
    bell = Bell()
    reaper.sweep(store, bell, SETTINGS)
    assert (bell.workers, bell.planners) == (ids, [waiting])
    with store.read() as tx:
        assert tx.workers.live(10) == {"cpu": 1}


class Timeline:
    """What a reaper finds when it reads the clocks, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = datetime.now(UTC)
        self.stored_s = self.here_s = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: 100.0 + self.here_s)
        monkeypatch.setattr(Transaction, "now", lambda _: self.began + timedelta(seconds=self.stored_s))

    def passes(self, stored_s: float, here_s: float | None = None) -> None:
        """The database's clock moves by `stored_s`, and the one of this process by as much or `here_s`."""
        self.stored_s += stored_s
        self.here_s += stored_s if here_s is None else here_s


@pytest.fixture
def timeline(monkeypatch: pytest.MonkeyPatch) -> Timeline:
    return Timeline(monkeypatch)


@pytest.mark.parametrize(
    ("stored_s", "here_s"),
    [(HOUR_S, 3.0), (HOUR_S, HOUR_S), (-HOUR_S, 3.0)],
    ids=["the machine slept", "the process was stopped", "the clock was set back"],
)
def test_a_machine_that_stood_still_costs_no_attempt(
    store: Store, timeline: Timeline, stored_s: float, here_s: float
) -> None:
    live(store)
    job_id, _ = add_job(store)
    held = must_claim(store, add_round(store, job_id)[0], lease_s=-60)
    host = Clocks(SETTINGS)
    timeline.passes(-stored_s, -here_s)
    host.read(store)
    timeline.passes(stored_s, here_s)
    with capture_logs() as logs:
        reaper.sweep(store, Bell(), SETTINGS, host)
    assert [entry["leases_renewed"] for entry in logs if entry["event"] == "stood_still"] == [1]
    assert beat(store, held) is Beat.GO_ON
    with store.read() as tx:
        attempt, until = tx.connection.execute(
            sa.select(cohort.c.attempt, cohort.c.lease_until).where(cohort.c.id == held.cohort_id)
        ).one()
    assert attempt == 1
    assert until < datetime.now(UTC) + timedelta(seconds=2 * LEASE_S)


def test_a_worker_that_does_not_wake_with_the_machine_is_taken_for_dead(
    store: Store, timeline: Timeline
) -> None:
    live(store)
    job_id, _ = add_job(store)
    held = must_claim(store, add_round(store, job_id)[0], lease_s=-60)
    host = Clocks(SETTINGS)
    timeline.passes(-HOUR_S, -3)
    host.read(store)
    timeline.passes(HOUR_S, 3)
    reaper.sweep(store, Bell(), SETTINGS, host)
    timeline.passes(SETTINGS.reap_s)
    reaper.sweep(store, Bell(), SETTINGS, host)
    assert expired(store) == []
    for _ in range(10):
        timeline.passes(SETTINGS.reap_s + 10)
        reaper.sweep(store, Bell(), SETTINGS, host)
    assert beat(store, held) is Beat.LOST


def test_a_reaper_whose_every_sweep_is_slow_takes_dead_workers_for_dead(
    store: Store, timeline: Timeline
) -> None:
    live(store)
    job_id, _ = add_job(store)
    held = must_claim(store, add_round(store, job_id)[0], lease_s=-60)
    host = Clocks(SETTINGS)
    host.read(store)
    for _ in range(4):
        timeline.passes(0.7 * SETTINGS.lease_s)
        reaper.sweep(store, Bell(), SETTINGS, host)
    assert beat(store, held) is Beat.LOST


def test_a_database_that_was_away_when_the_reaper_began_costs_no_attempt(
    store: Store, timeline: Timeline
) -> None:
    job_id, _ = add_job(store)
    held = must_claim(store, add_round(store, job_id)[0], lease_s=-60)
    host, away = Clocks(SETTINGS), Store("sqlite:////nowhere/at/all.db")
    timeline.passes(-2 * SETTINGS.lease_s)
    for _ in range(2):
        with pytest.raises(OUT_OF_REACH):
            host.read(away)
        timeline.passes(SETTINGS.lease_s)
    reaper.sweep(store, Bell(), SETTINGS, host)
    assert beat(store, held) is Beat.GO_ON


@pytest.mark.parametrize("ahead_s", [45.0, -45.0, 1.0])
def test_a_host_with_a_wrong_clock_is_told_once(store: Store, on_host: OnHost, ahead_s: float) -> None:
    host = Clocks(SETTINGS)
    with on_host(ahead_s), capture_logs() as logs:
        for _ in range(3):
            host.read(store)
    told = [entry["ahead_s"] for entry in logs if entry["event"] == "clock_skew"]
    assert told == ([pytest.approx(ahead_s, abs=4)] if abs(ahead_s) > clocks.SKEW_S else [])
