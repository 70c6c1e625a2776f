"""What the database knows of a search whose time is over: what a claim is told, and what is kept."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from tests.builders.jobs import (
    LEASE_S,
    add_job,
    add_round,
    claim,
    make_result,
    make_spec,
    must_claim,
    planning,
    state_of,
    trial_states,
)
from whichopt.service.db import Store
from whichopt.service.db.tables import job
from whichopt.service.states import JobState, TrialState

BUDGET = {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3}


def begun(store: Store, job_id: int, seconds_ago: float) -> None:
    with store.transaction() as tx:
        at = tx.connection.scalar(sa.select(job.c.started_at).where(job.c.id == job_id))
        assert at is not None
        earlier = at - timedelta(seconds=seconds_ago)
        tx.connection.execute(job.update().where(job.c.id == job_id).values(started_at=earlier))


def test_a_claim_knows_how_long_there_is_to_search(store: Store) -> None:
    job_id, _ = add_job(store, make_spec(budget={**BUDGET, "max_seconds": 100}))
    first, second = add_round(store, job_id)
    left = must_claim(store, first).seconds_left
    assert left is not None
    assert 90 < left <= 100
    begun(store, job_id, 300)
    left = must_claim(store, second).seconds_left
    assert left is not None
    assert left < -150
    unlimited, _ = add_job(store)
    assert must_claim(store, add_round(store, unlimited)[0]).seconds_left is None


def test_a_cohort_that_time_stopped_keeps_what_ended_and_ends_what_waits(store: Store) -> None:
    job_id, uid = add_job(store, make_spec(budget={**BUDGET, "max_seconds": 100}))
    first, second = add_round(store, job_id)
    claimed = must_claim(store, first)
    half = make_result().model_copy(update={"state": TrialState.CANCELLED, "value": None, "steps": 1})
    with store.transaction() as tx:
        assert tx.cohorts.finish(claimed, [make_result(), half])
    assert trial_states(store, job_id) == ["complete", "cancelled", "cancelled", "cancelled"]
    assert claim(store, second, lease_s=LEASE_S) is None, "it is not in the queue any more"
    assert state_of(store, uid) is JobState.RUNNING
    planned = planning(store, job_id)
    assert planned is not None
    assert [trial.result is not None for trial in planned.trials] == [True, True, False, False]
    assert planned.running_s >= 0


def test_a_cohort_that_was_never_begun_is_kept_as_such(store: Store) -> None:
    job_id, _ = add_job(store, make_spec(budget={**BUDGET, "max_seconds": 100}))
    first, _ = add_round(store, job_id)
    claimed = must_claim(store, first)
    with store.transaction() as tx:
        assert tx.cohorts.finish(claimed, [None, None])
    assert set(trial_states(store, job_id)) == {"cancelled"}
    assert planning(store, job_id) is not None
