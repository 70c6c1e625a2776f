"""Workers that are lost: attempts that progress renews, and failures that say what was seen."""

from __future__ import annotations

import pytest

from tests.builders.jobs import (
    LAPSED_S,
    LEASE_S,
    add_job,
    add_round,
    beat,
    claim,
    expired,
    finish,
    must_claim,
    state_of,
    take_back,
)
from whichopt.service.db import Store, Transaction
from whichopt.service.db.cohorts import Beat
from whichopt.service.states import JobState


def lose(store: Store, cohort_id: int, job_id: int, *, kept: int | None = None) -> bool:
    """An attempt that keeps a state and loses its worker; whether there is another."""
    held = must_claim(store, cohort_id)
    assert beat(store, held, lease_s=LAPSED_S, kept=kept) is Beat.GO_ON
    return take_back(store, cohort_id, job_id)


def note(tx: Transaction, cohort_id: int, *, worker_name: str, cause: str, quiet_s: float = 0.0) -> bool:
    return tx.lost.note(cohort_id, worker_name=worker_name, cause=cause, lease_s=LEASE_S, quiet_s=quiet_s)


def why(store: Store, uid: str) -> str:
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.error is not None
    assert view.error.code == "worker_lost"
    return view.error.detail


def test_a_cohort_that_gets_on_may_lose_any_number_of_workers(store: Store) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    for kept in range(100, 800, 100):
        assert lose(store, cohort_id, job_id, kept=kept)
    assert state_of(store, uid) is JobState.RUNNING
    assert finish(store, must_claim(store, cohort_id))


@pytest.mark.parametrize("kept", [100, 60], ids=["at the same place", "afresh, as its state was gone"])
def test_a_cohort_that_gets_no_further_fails_after_the_attempts(store: Store, kept: int) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    assert lose(store, cohort_id, job_id, kept=100)
    assert lose(store, cohort_id, job_id, kept=kept)
    assert not lose(store, cohort_id, job_id, kept=kept)
    assert state_of(store, uid) is JobState.FAILED
    assert "3 times without getting further than 100 examples" in why(store, uid)


def test_a_cohort_that_never_keeps_a_state_fails_after_the_attempts(store: Store) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    assert [lose(store, cohort_id, job_id) for _ in range(3)] == [True, True, False]
    assert "3 times before its first checkpoint" in why(store, uid)


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        ("gone", "this worker is gone"),
        ("silent", "nothing has been heard of this worker for"),
        ("alive", "this worker lives"),
    ],
)
def test_a_failure_says_what_is_known_of_an_end_that_nobody_saw(store: Store, worker: str, said: str) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    if worker != "gone":
        with store.transaction() as tx:
            tx.workers.seen("w1", queue="cpu")
    must_claim(store, cohort_id, lease_s=LAPSED_S)
    with store.transaction() as tx:
        alive_s = 0.0 if worker == "silent" else 1000.0
        assert not tx.lost.take_back(cohort_id, job_id, attempts=1, alive_s=alive_s, as_of=tx.now())
    detail = why(store, uid)
    assert said in detail
    assert "once before its first checkpoint (last: w1)" in detail
    assert "memory" not in detail, "nobody has seen that it ran out"


def test_a_failure_says_what_was_seen_of_the_last_end(store: Store) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    for attempt in range(3):
        held = must_claim(store, cohort_id)
        with store.transaction() as tx:
            assert not note(tx, cohort_id, worker_name="another", cause="x")
            assert not note(tx, cohort_id, worker_name="w1", cause="x", quiet_s=50), "another process has it"
            assert note(tx, cohort_id, worker_name="w1", cause=f"cause {attempt}")
            assert not note(tx, cohort_id, worker_name="w1", cause="it holds nothing now")
        assert beat(store, held) is Beat.LOST
        assert expired(store) == [(cohort_id, job_id)]
    assert claim(store, cohort_id) is None, "there is no attempt left"
    assert not take_back(store, cohort_id, job_id)
    assert why(store, uid).endswith("cause 2")


def test_what_was_seen_of_an_earlier_end_is_not_said_of_the_last(store: Store) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    for _ in range(2):
        must_claim(store, cohort_id)
        with store.transaction() as tx:
            assert note(tx, cohort_id, worker_name="w1", cause="the machine has run out of memory")
    must_claim(store, cohort_id, lease_s=LAPSED_S)
    assert not take_back(store, cohort_id, job_id)
    assert "memory" not in why(store, uid)


def test_others_go_on_at_once_with_what_a_process_was_seen_to_lose(store: Store) -> None:
    job_id, _ = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    must_claim(store, cohort_id)
    with store.transaction() as tx:
        assert note(tx, cohort_id, worker_name="w1", cause="killed")
        assert tx.lost.give_time(60) == 0, "it has no holder"
    assert must_claim(store, cohort_id).attempt == 2
