"""A worker's processes that end, hang or are cut off: what is seen, said, and kept."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from billiard.exceptions import WorkerLostError
from celery.exceptions import Reject
from celery.worker.request import Request

from tests.builders.jobs import add_job, add_round, must_claim
from whichopt.service.db import OUT_OF_REACH, Store
from whichopt.service.db.cohorts import Beat, Claim, Cohorts
from whichopt.service.db.tables import cohort
from whichopt.service.settings import Settings
from whichopt.workers import app, losses, patience
from whichopt.workers.lease import Lease

AWAY = sa.exc.OperationalError("", {}, Exception("the server closed the connection"))


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's counters, in which 3 processes were killed for lack of memory."""
    path = tmp_path / "vmstat"
    path.write_text("nr_free_pages 7\noom_kill 3\n")
    monkeypatch.setattr(losses, "COUNTERS", path)
    return path


@pytest.mark.parametrize(
    ("ended", "kills_before", "said", "memory"),
    [
        ("Worker exited prematurely: signal 9 (SIGKILL) Job: 3.", 2, "signal 9 (SIGKILL)", True),
        ("Worker exited prematurely: signal 9 (SIGKILL) Job: 3.", 3, "not for lack of memory", False),
        ("Worker exited prematurely: signal 11 (SIGSEGV) Job: 3.", 2, "signal 11 (SIGSEGV)", False),
        ("Worker exited prematurely: signal 250 Job: 3.", 2, "signal 250", False),
        ("Worker exited prematurely: exitcode 70 Job: 3.", 2, "WHICHOPT_STUCK_S", False),
        ("Worker exited prematurely: exitcode 1 Job: 3.", 2, "status 1", False),
        ("it went away", 2, "it went away", False),
    ],
)
def test_a_lost_process_is_told_by_what_was_seen(
    counter: Path, ended: str, kills_before: int, said: str, memory: bool
) -> None:
    assert counter.exists()
    cause = losses.cause(ended, settings=Settings(), kills_before=kills_before)
    assert said in cause
    assert ("a smaller model or batch_size" in cause) == memory


def test_a_system_that_counts_no_kills_is_no_reason_to_advise(counter: Path) -> None:
    counter.unlink()
    assert losses.memory_kills() is None
    cause = losses.cause("signal 9 (SIGKILL)", settings=Settings(), kills_before=None)
    assert "by a person, a scheduler, or the system for lack of memory" in cause


def test_the_parent_notes_what_it_saw_of_a_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, _ = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    must_claim(store, cohort_id, lease_s=app.settings.lease_s)  # renewed just before it was lost
    passed_on: list[Any] = []
    monkeypatch.setattr(Request, "on_failure", lambda *arguments, **_: passed_on.append(arguments))
    monkeypatch.setattr(app, "_store", store)
    parent = app.Parent.__new__(app.Parent)
    parent.kills_before = None
    parent.presence = app.Presence("w1", "cpu", 1)
    monkeypatch.setattr(
        threading, "Thread", lambda target, args, **_: SimpleNamespace(start=lambda: target(*args))
    )
    monkeypatch.setattr(app, "_parent", parent)
    request = app.WatchedRequest.__new__(app.WatchedRequest)
    request._args = [cohort_id]
    found = []
    for error in (ValueError("its own"), WorkerLostError("signal 11 (SIGSEGV)")):
        request.on_failure(SimpleNamespace(exception=error))
        with store.read() as tx:
            row = tx.connection.execute(sa.select(cohort).where(cohort.c.id == cohort_id)).one()
            found.append((row.lost, row.owner is None))
    assert found[0] == (None, False), "an exception is not a loss"
    assert "signal 11 (SIGSEGV)" in found[1][0]
    assert found[1][1]
    assert len(passed_on) == 2


@pytest.fixture
def held(store: Store, tmp_path: Path) -> tuple[Lease, Claim]:
    """A lease that does not tick by itself."""
    job_id, _ = add_job(store)
    claimed = must_claim(store, add_round(store, job_id)[0])
    return Lease(store, claimed, Settings(blobs=tmp_path / "blobs", checkpoint_s=1e-9)), claimed


def test_training_that_hangs_is_noticed_but_a_machine_that_slept_is_not_taken_for_it(
    held: tuple[Lease, Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = held
    seconds = ours._moved_at
    monkeypatch.setattr(time, "monotonic", lambda: seconds)
    stuck_s = ours.settings.stuck_s
    seconds += 10 * stuck_s  # it was stopped
    assert not ours._is_stuck()
    looks = 0
    while not ours._is_stuck():
        seconds += ours.settings.lease_s / 2
        looks += 1
        assert looks <= 3 * stuck_s / ours.settings.lease_s
    assert looks * ours.settings.lease_s / 2 > stuck_s, "not before its time"


def test_a_database_that_is_away_throws_no_training_away(
    held: tuple[Lease, Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = held

    def away(*_: object, **__: object) -> None:
        raise AWAY

    with monkeypatch.context() as patched:
        patched.setattr(Cohorts, "beat", away)
        patched.setattr(time, "monotonic", lambda: 1e9)
        assert not ours._tick()
        assert not ours.cancelled()
    assert ours._tick()
    assert ours.heard is Beat.GO_ON


def test_a_kept_state_says_how_far_it_had_come(store: Store, held: tuple[Lease, Claim]) -> None:
    ours, claimed = held
    ours.progress(0, 30, [])
    ours.progress(1, 20, [])
    ours.checkpoint(lambda: {"results": []})
    ours.progress(0, 40, [])
    assert ours._tick()
    with store.read() as tx:
        row = tx.connection.execute(sa.select(cohort).where(cohort.c.id == claimed.cohort_id)).one()
    assert (row.kept_examples, row.examples) == (50, 60)
    assert row.checkpoint == ours.checkpoint_name


def test_who_waits_for_the_database_goes_on_once_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        if len(asked) <= 3:
            raise AWAY
        return "there"

    assert patience.until_it_answers(ask, what="results", patience_s=60) == "there"
    assert len(pauses) == 3
    assert all(0 < pause <= 1.5 * patience.PAUSES_S[1] for pause in pauses)


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)

    def ask() -> None:
        raise AWAY

    with pytest.raises(OUT_OF_REACH):
        patience.until_it_answers(ask, what="results", patience_s=0)


def test_a_message_goes_back_if_the_database_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not acknowledged: who takes it next may get through."""
    monkeypatch.setattr(patience, "PATIENCE_S", 0.0)
    monkeypatch.setattr(app, "_store", Store("sqlite:////nowhere/at/all.db"))
    with pytest.raises(Reject) as rejected:
        app.run_cohort(1)
    assert rejected.value.requeue
