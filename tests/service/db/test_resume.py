"""Jobs that failed for a worker's sake go on, and jobs of a process are left to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from tests.builders.guests import guest_spec
from tests.builders.jobs import (
    LAPSED_S,
    add_job,
    add_round,
    beat,
    claim,
    expired,
    finish,
    make_plans,
    must_claim,
    planning,
    state_of,
    take_back,
    trial_states,
)
from tests.builders.services import Recorder
from whichopt.service.db import Store
from whichopt.service.db.tables import job, trial
from whichopt.service.errors import NotResumable
from whichopt.service.jobs import cancel, resume, submit
from whichopt.service.states import JobState


def lost_job(store: Store) -> tuple[int, str, list[int]]:
    """A job that failed as the second of its cohorts lost its worker once too often."""
    job_id, uid = add_job(store)
    first, second = add_round(store, job_id)
    finish(store, must_claim(store, first))
    beat(store, must_claim(store, second), kept=50)
    with store.transaction() as tx:
        tx.lost.lapse_all()
    assert not take_back(store, second, job_id, attempts=0)
    assert state_of(store, uid) is JobState.FAILED
    return job_id, uid, [first, second]


def test_it_goes_on_with_what_was_lost_and_keeps_what_was_done(store: Store) -> None:
    job_id, uid, (_, second) = lost_job(store)
    dispatcher = Recorder()
    job = resume(store, dispatcher, uid, alive_s=10)
    assert (job.state, job.error, job.finished_at) == (JobState.RUNNING, None, None)
    assert dispatcher.cohorts_of("cpu") == [second]
    assert sorted(set(trial_states(store, job_id))) == ["complete", "queued"]
    again = claim(store, second)
    assert again is not None
    assert (again.attempt, again.checkpoint) == (1, "at-50")
    finish(store, again)
    assert planning(store, job_id) is not None


def test_what_fails_again_and_what_goes_on_is_refused_with_the_reason(store: Store) -> None:
    job_id, uid = add_job(store)
    with pytest.raises(NotResumable, match="is queued, and goes on by itself"):
        resume(store, Recorder(), uid, alive_s=10)
    with store.transaction() as tx:
        tx.jobs.fail(job_id, code="training_failed", detail="it raised")
    with pytest.raises(NotResumable, match="failed by training_failed, and would do so again"):
        resume(store, Recorder(), uid, alive_s=10)


def test_a_job_without_a_round_is_planned(store: Store) -> None:
    job_id, uid = add_job(store)
    with store.transaction() as tx:
        tx.jobs.fail(job_id, code="planner_lost", detail="gone")
    dispatcher = Recorder()
    assert resume(store, dispatcher, uid, alive_s=10).state is JobState.QUEUED
    assert dispatcher.planned == [job_id]


def test_a_worker_that_is_still_ending_its_part_is_waited_for(store: Store) -> None:
    job_id, uid = add_job(store)
    first, second = add_round(store, job_id)
    must_claim(store, first)
    must_claim(store, second, lease_s=LAPSED_S)
    with store.transaction() as tx:
        tx.jobs.fail(job_id, code="worker_lost", detail="gone")
    with pytest.raises(NotResumable, match="still ending its part"):
        resume(store, Recorder(), uid, alive_s=10)


def test_time_that_it_stood_still_does_not_count(store: Store) -> None:
    job_id, uid, _ = lost_job(store)
    day = timedelta(days=1)
    with store.transaction() as tx:
        rows = job.update().where(job.c.id == job_id)
        tx.connection.execute(
            rows.values(started_at=tx.now() - day - timedelta(minutes=1), finished_at=tx.now() - day)
        )
    resume(store, Recorder(), uid, alive_s=10)
    with store.read() as tx:
        assert 59 < tx.jobs.running_s(job_id) < 120


def begun_here(store: Store) -> tuple[int, str, list[int]]:
    """A job of a process with a round of two cohorts, the first of which is done."""
    job_id, uid = here_job(store)
    planned = planning(store, job_id)
    assert planned is not None
    plans = make_plans(planned.spec)
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, [plans[:2], plans[2:]], spec=planned.spec, cut_short=False)
    assert ids is not None
    finish(store, must_claim(store, ids[0]))
    return job_id, uid, ids


def hour_passes(store: Store, job_id: int) -> None:
    """All that is known of the job happened an hour earlier."""
    hour = timedelta(hours=1)
    with store.transaction() as tx:
        for table, key, names in (
            (job, job.c.id, ("started_at", "rung_at")),
            (trial, trial.c.job_id, ("started_at", "finished_at")),
        ):
            for row in tx.connection.execute(sa.select(table).where(key == job_id)).mappings().all():
                earlier = {name: row[name] - hour for name in names if row[name] is not None}
                tx.connection.execute(table.update().where(table.c.id == row["id"]).values(earlier))


def go_on_here(store: Store, job_id: int) -> float:
    """The process of the job begins anew; the seconds that the job has had of its minutes."""
    with store.transaction() as tx:
        tx.lost.take_back_here(job_id)
        return tx.jobs.running_s(job_id)


def test_a_standstill_of_a_process_does_not_count_however_often_it_begins_anew(store: Store) -> None:
    job_id, _, (_, second) = begun_here(store)
    with store.read() as tx:
        before_s = tx.jobs.running_s(job_id)
    for _ in range(3):  # it is interrupted again before there is any result
        must_claim(store, second)
        hour_passes(store, job_id)
        assert 0 <= go_on_here(store, job_id) < before_s + 60
    finish(store, must_claim(store, second))
    with store.read() as tx:
        elapsed_s = tx.jobs.elapsed_s(job_id)
    assert elapsed_s is not None
    assert 0 < elapsed_s < before_s + 120


def test_a_standstill_after_a_failure_does_not_count_twice(store: Store) -> None:
    job_id, uid, (_, second) = begun_here(store)
    must_claim(store, second, lease_s=LAPSED_S)
    with store.transaction() as tx:
        tx.jobs.fail(job_id, code="worker_lost", detail="gone")
    hour_passes(store, job_id)
    with store.transaction() as tx:
        at = tx.connection.scalar(sa.select(job.c.started_at).where(job.c.id == job_id))
        assert at is not None
        tx.connection.execute(job.update().where(job.c.id == job_id).values(finished_at=at))
    resume(store, Recorder(), uid, alive_s=10)
    assert 0 <= go_on_here(store, job_id) < 60


def test_what_a_process_left_of_a_cancelled_job_ends_with_it(store: Store) -> None:
    job_id, uid, (_, second) = begun_here(store)
    must_claim(store, second)
    cancel(store, uid, alive_s=10)
    assert state_of(store, uid) is JobState.RUNNING, "its process may still hear of it"
    go_on_here(store, job_id)
    assert state_of(store, uid) is JobState.CANCELLED
    assert sorted(set(trial_states(store, job_id))) == ["cancelled", "complete"]


def test_over_http(http: TestClient, lite: Store, dispatcher: Recorder) -> None:
    _, uid, (_, second) = lost_job(lite)
    answer = http.post(f"/v1/jobs/{uid}/resume")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert dispatcher.cohorts_of("cpu") == [second]
    answer = http.post(f"/v1/jobs/{uid}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_resumable")


def here_job(store: Store, **options: Any) -> tuple[int, str]:
    dispatcher = Recorder()
    view = submit(store, dispatcher, guest_spec(), alive_s=10, api_key_id=None, in_process=True, **options)
    assert dispatcher.planned == []
    assert view.queue == f"here-{view.id}"
    assert view.activity is not None
    assert "Waiting for the process that made it" in view.activity.detail
    with store.read() as tx:
        job_id = tx.jobs.id_of(view.id)
    assert job_id is not None
    return job_id, view.id


def test_a_job_of_a_process_is_left_to_it(store: Store) -> None:
    job_id, uid = here_job(store, idempotency_key="the cell")
    assert here_job(store, idempotency_key="the cell") == (job_id, uid), "the cell again is the same job"
    planned = planning(store, job_id)
    assert planned is not None
    plans = make_plans(planned.spec)
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, [plans], spec=planned.spec, cut_short=False)
        assert tx.lost.stalled(-1) == []
    assert ids is not None
    held = must_claim(store, ids[0])
    with store.transaction() as tx:
        tx.lost.lapse_all()
    assert beat(store, held).name == "GO_ON", "its lease decides, not a home that starts"
    beat(store, held, lease_s=LAPSED_S)
    assert expired(store) == [], "the reaper leaves it alone"
    with store.read() as tx:
        assert tx.lost.expired(tx.now(), queue=f"here-{uid}") == [(ids[0], job_id)]
    assert take_back(store, ids[0], job_id)
    beat(store, must_claim(store, ids[0]), lease_s=LAPSED_S)
    cancel(store, uid, alive_s=10)
    assert expired(store) == [(ids[0], job_id)], "its process may never come back"
    take_back(store, ids[0], job_id)
    assert state_of(store, uid) is JobState.CANCELLED


def test_a_function_that_was_given_up_is_told_in_epochs(store: Store) -> None:
    job_id, uid = add_job(store, guest_spec())
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, [make_plans(planned.spec)], spec=planned.spec, cut_short=False)
    assert ids is not None
    beat(store, must_claim(store, ids[0], lease_s=LAPSED_S), lease_s=LAPSED_S, kept=3)
    take_back(store, ids[0], job_id, attempts=0)
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.error is not None
    assert "without training past 3 epochs" in view.error.detail
