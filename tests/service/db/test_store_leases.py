"""Claims, fences, guards, attempts and cancel, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import IntegrityError

from tests.builders.jobs import (
    LAPSED_S,
    add_job,
    add_round,
    beat,
    claim,
    expired,
    finish,
    make_plans,
    make_result,
    must_claim,
    planning,
    state_of,
    take_back,
    trial_states,
)
from whichopt.service.db import Store
from whichopt.service.db.cohorts import Beat, Claim
from whichopt.service.states import JobState, TrialState


def test_a_job_goes_from_queued_over_rounds_to_its_results(store: Store) -> None:
    job_id, uid = add_job(store)
    assert state_of(store, uid) is JobState.QUEUED
    for cohort_id in add_round(store, job_id):
        assert planning(store, job_id) is None, "the round has not ended"
        claimed = must_claim(store, cohort_id)
        assert state_of(store, uid) is JobState.RUNNING
        assert beat(store, claimed) is Beat.GO_ON
        assert finish(store, claimed)
    planned = planning(store, job_id)
    assert planned is not None
    assert planned.round == 1
    assert [trial.result for trial in planned.trials] == [make_result()] * 4
    assert [trial.plan for trial in planned.trials] == make_plans(planned.spec)


def test_the_ledger_counts_what_was_used(store: Store) -> None:
    job_id, uid = add_job(store)
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert [(e.optimizer, e.trials, e.steps, e.examples, e.best_value) for e in view.ledger] == [
        ("adabelief", 2, 4, 200, 0.5),
        ("sgd", 2, 4, 200, 0.5),
    ]
    assert view.progress.trials_done == 4
    assert view.progress.trials_total == 8


def test_a_cohort_is_claimed_once(store: Store) -> None:
    job_id, _ = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    assert claim(store, cohort_id) is not None
    assert claim(store, cohort_id) is None
    assert claim(store, 10**6) is None, "there is no such cohort"


def test_of_many_claims_at_once_one_wins(store: Store, database_url: str) -> None:
    job_id, _ = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    won: list[Claim | None] = []
    gate = threading.Barrier(8)

    def contend() -> None:
        own = Store(database_url)
        gate.wait()
        won.append(claim(own, cohort_id))
        own.close()

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found is not None for found in won) == 1


def test_a_late_zombie_writes_nothing(store: Store) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    zombie = must_claim(store, cohort_id, lease_s=LAPSED_S)
    assert claim(store, cohort_id) is None, "the reaper judges, not whoever is rung for"
    assert take_back(store, cohort_id, job_id)
    heir = must_claim(store, cohort_id)
    assert heir.attempt == 2
    with store.read() as tx:
        before = tx.jobs.revision(uid)
    assert beat(store, zombie) is Beat.LOST
    assert not finish(store, zombie)
    for ending in ("drop", "give_back"):
        with store.transaction() as tx:
            assert not getattr(tx.cohorts, ending)(zombie)
    with store.transaction() as tx:
        assert not tx.cohorts.fail(zombie, code="x", detail="x")
    with store.read() as tx:
        assert tx.jobs.revision(uid) == before
    assert trial_states(store, job_id)[:2] == [TrialState.RUNNING] * 2
    assert finish(store, heir)
    assert not finish(store, heir), "a cohort is finished once"


def test_a_round_is_planned_once(store: Store) -> None:
    job_id, _ = add_job(store)
    first, second = planning(store, job_id), planning(store, job_id)
    assert first is not None
    assert second is not None
    plans = make_plans(first.spec)
    with store.transaction() as tx:
        assert tx.jobs.add_round(first, [plans], executor="solo", cut_short=False) is not None
    with store.transaction() as tx:
        assert tx.jobs.add_round(second, [plans], executor="solo", cut_short=False) is None
    assert len(trial_states(store, job_id)) == 4


def test_a_broken_round_leaves_nothing_behind(store: Store) -> None:
    job_id, _ = add_job(store)
    planned = planning(store, job_id)
    assert planned is not None
    plans = make_plans(planned.spec)
    twice = [[plans[0]], [plans[0]]]  # the same number of the same study
    with pytest.raises(IntegrityError), store.transaction() as tx:
        tx.jobs.add_round(planned, twice, executor="solo", cut_short=False)
    again = planning(store, job_id)
    assert again is not None
    assert again.round == 0
    assert trial_states(store, job_id) == []


@pytest.mark.parametrize(("attempts", "expected"), [(2, JobState.RUNNING), (1, JobState.FAILED)])
def test_a_lapsed_lease_is_taken_back_until_the_attempts_are_used_up(
    store: Store, attempts: int, expected: JobState
) -> None:
    job_id, uid = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    must_claim(store, cohort_id, lease_s=LAPSED_S)
    assert expired(store) == [(cohort_id, job_id)]
    assert take_back(store, cohort_id, job_id, attempts=attempts) == (expected is JobState.RUNNING)
    assert state_of(store, uid) is expected
    assert expired(store) == []
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    if expected is JobState.FAILED:
        assert view is not None
        assert view.error is not None
        assert view.error.code == "worker_lost"
        assert trial_states(store, job_id) == [TrialState.FAILED] * 2 + [TrialState.CANCELLED] * 2


def test_giving_back_does_not_count_as_an_attempt(store: Store) -> None:
    job_id, _ = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    for _ in range(5):
        claimed = must_claim(store, cohort_id)
        assert claimed.attempt == 1
        with store.transaction() as tx:
            assert tx.cohorts.give_back(claimed)
    assert trial_states(store, job_id) == [TrialState.QUEUED] * 4


def test_a_new_home_ends_the_leases_of_the_last_one(store: Store) -> None:
    job_id, _ = add_job(store)
    cohort_id = add_round(store, job_id)[0]
    must_claim(store, cohort_id)
    with store.transaction() as tx:
        tx.lost.lapse_all()
    assert expired(store) == [(cohort_id, job_id)]
    assert must_claim(store, cohort_id).attempt == 1


def test_cancel_ends_queued_cohorts_now_and_running_ones_at_their_next_tick(store: Store) -> None:
    job_id, uid = add_job(store)
    running, queued = add_round(store, job_id)
    claimed = must_claim(store, running)
    with store.transaction() as tx:
        assert tx.jobs.cancel(job_id) is None
    assert claim(store, queued) is None
    assert state_of(store, uid) is JobState.RUNNING
    assert beat(store, claimed) is Beat.CANCEL
    with store.transaction() as tx:
        assert tx.cohorts.drop(claimed)
    assert state_of(store, uid) is JobState.CANCELLED
    assert trial_states(store, job_id) == [TrialState.CANCELLED] * 4
    with store.transaction() as tx:
        assert tx.jobs.cancel(job_id) is JobState.CANCELLED, "there is nothing left to cancel"


def test_cancel_before_the_first_round_ends_the_job(store: Store) -> None:
    job_id, uid = add_job(store)
    with store.transaction() as tx:
        tx.jobs.cancel(job_id)
    assert state_of(store, uid) is JobState.CANCELLED
    assert planning(store, job_id) is None


def test_results_that_come_with_a_cancel_are_kept_and_the_job_ends(store: Store) -> None:
    job_id, uid = add_job(store)
    running, _ = add_round(store, job_id)
    claimed = must_claim(store, running)
    with store.transaction() as tx:
        tx.jobs.cancel(job_id)
    assert finish(store, claimed)
    assert state_of(store, uid) is JobState.CANCELLED
    assert trial_states(store, job_id)[:2] == [TrialState.COMPLETE] * 2


def test_a_cancelled_job_whose_worker_died_ends_with_its_lease(store: Store) -> None:
    job_id, uid = add_job(store)
    running, _ = add_round(store, job_id)
    must_claim(store, running, lease_s=LAPSED_S)
    with store.transaction() as tx:
        tx.jobs.cancel(job_id)
    assert not take_back(store, running, job_id)
    assert state_of(store, uid) is JobState.CANCELLED


def test_nothing_of_an_ended_job_is_claimed_or_queued_again(store: Store) -> None:
    job_id, uid = add_job(store)
    lapsed, running = add_round(store, job_id)
    must_claim(store, lapsed, lease_s=LAPSED_S)
    held = must_claim(store, running)
    with store.transaction() as tx:
        tx.jobs.fail(job_id, code="training_failed", detail="why")
    assert claim(store, lapsed) is None
    with store.transaction() as tx:
        assert tx.cohorts.give_back(held)
    assert claim(store, running) is None
    assert state_of(store, uid) is JobState.FAILED
    assert set(trial_states(store, job_id)[2:]) == {TrialState.CANCELLED}


def test_a_failure_ends_the_job_with_its_cause(store: Store) -> None:
    job_id, uid = add_job(store)
    first, second = (must_claim(store, cohort_id) for cohort_id in add_round(store, job_id))
    with store.transaction() as tx:
        assert tx.cohorts.fail(first, code="training_failed", detail="why")
    assert beat(store, second) is Beat.CANCEL
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert view.error.detail == "why"


def test_a_stopping_worker_is_told_to_give_back(store: Store) -> None:
    job_id, _ = add_job(store)
    claimed = must_claim(store, add_round(store, job_id)[0])
    with store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    assert beat(store, claimed) is Beat.GO_ON
    with store.transaction() as tx:
        tx.workers.stopping("w1")
    assert beat(store, claimed) is Beat.GIVE_BACK
