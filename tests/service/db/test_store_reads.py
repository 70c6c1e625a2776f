"""What the database shows and notices: the reaper's eyes, revisions, pages, keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tests.builders.jobs import (
    add_job,
    add_round,
    beat,
    finish,
    make_spec,
    must_claim,
    state_of,
)
from whichopt.service.db import Store
from whichopt.service.db.lost import MAX_PLANNERS
from whichopt.service.db.tables import cohort
from whichopt.service.states import JobState


def test_the_reaper_sees_what_nobody_came_for(store: Store) -> None:
    job_id, _ = add_job(store)
    with store.transaction() as tx:
        assert tx.lost.stalled(60) == [], "its doorbell was rung just now"
        assert tx.lost.stalled(-1) == [job_id]
        assert tx.lost.stalled(60) == [], "it was rung for again"
    ids = add_round(store, job_id)
    with store.transaction() as tx:
        assert tx.lost.stalled(-1) == [], "cohorts are waiting"
        assert tx.cohorts.unanswered("cpu", 60) == []
        assert tx.cohorts.unanswered("cpu", -1) == ids
    for cohort_id in ids:
        finish(store, must_claim(store, cohort_id))
    with store.transaction() as tx:
        assert tx.cohorts.unanswered("cpu", -1) == []
        assert tx.lost.stalled(-1) == [job_id], "the round ended without a successor"


def test_the_oldest_queued_cohorts_do_not_hide_the_others(store: Store) -> None:
    with store.transaction() as tx:
        elsewhere, _ = tx.jobs.add(make_spec(), queue="cuda")
    add_round(store, elsewhere)
    job_id, _ = add_job(store)
    ids = add_round(store, job_id)
    with store.transaction() as tx:
        assert tx.cohorts.queued("cpu") == 2
        assert tx.cohorts.unanswered("cpu", -1, limit=1) == ids[:1]
        assert tx.cohorts.unanswered("cpu", -1, limit=1) == ids[1:], "the longest unrung come first"


def test_rings_that_nobody_answers_are_no_planners(store: Store) -> None:
    job_id, _ = add_job(store)
    for _ in range(3 * MAX_PLANNERS):
        with store.transaction() as tx:
            assert tx.lost.stalled(-1) == [job_id]


def test_a_job_whose_planners_all_die_fails_with_its_cause(store: Store) -> None:
    job_id, uid = add_job(store)
    for _ in range(MAX_PLANNERS):
        with store.transaction() as tx:
            assert tx.lost.stalled(-1) == [job_id]
            planned = tx.jobs.planning(job_id)
            assert planned is not None
            tx.jobs.planner_begins(planned)
    with store.transaction() as tx:
        assert tx.lost.stalled(-1) == []
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.error is not None
    assert view.error.code == "planner_lost"


def test_a_job_that_waits_for_a_worker_says_so(store: Store) -> None:
    _, uid = add_job(store)
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.waiting_for is not None
    assert "--queue cpu" in view.waiting_for
    with store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.waiting_for is None


@pytest.mark.parametrize("write", ["beat", "finish", "drop", "give_back", "cancel"])
def test_every_write_moves_the_revision_and_stamps_its_trials(store: Store, write: str) -> None:
    job_id, uid = add_job(store)
    claimed = must_claim(store, add_round(store, job_id)[0])
    with store.read() as tx:
        before = tx.jobs.revision(uid)
    assert before is not None
    writes: dict[str, Callable[[], object]] = {
        "beat": lambda: beat(store, claimed),
        "finish": lambda: finish(store, claimed),
    }
    if write in writes:
        writes[write]()
    else:
        with store.transaction() as tx:
            if write == "cancel":
                tx.jobs.cancel(job_id)
            else:
                getattr(tx.cohorts, write)(claimed)
    with store.read() as tx:
        after = tx.jobs.revision(uid)
        assert after is not None
        assert after[0] > before[0]
        changed = tx.views.trials(job_id, since_revision=before[0], limit=10).items
    assert len(changed) == (0 if write == "beat" else 2)


def test_an_idempotency_key_belongs_to_one_job_of_its_holder(store: Store) -> None:
    with store.transaction() as tx:
        tx.keys.ensure("a", name="a")
        holder = tx.keys.find("a")
    _, uid = add_job(store, api_key_id=holder, idempotency_key="k", body_digest="d")
    with store.read() as tx:
        assert tx.jobs.by_idempotency(holder, "k") == (uid, "d")
        assert tx.jobs.by_idempotency(holder, "other") is None
    with pytest.raises(IntegrityError):
        add_job(store, api_key_id=holder, idempotency_key="k", body_digest="e")


def test_keys_are_kept_as_hashes(store: Store) -> None:
    with store.transaction() as tx:
        assert not tx.keys.any()
        tx.keys.ensure("secret", name="first")
        tx.keys.ensure("secret", name="again")
        assert tx.keys.find("secret") is not None
        assert tx.keys.find("Secret") is None
        stored = tx.connection.exec_driver_sql("SELECT * FROM api_key").all()
    assert len(stored) == 1
    assert "secret" not in str(stored)


def test_readers_do_not_block_writers(store: Store) -> None:
    job_id, uid = add_job(store)
    with store.read() as reader:
        assert reader.jobs.revision(uid) == (1, JobState.QUEUED)
        add_round(store, job_id)
        assert reader.jobs.revision(uid) == (1, JobState.QUEUED), "one consistent view"
    with store.read() as reader:
        assert reader.jobs.revision(uid) == (2, JobState.QUEUED)


def test_a_transaction_that_raises_writes_nothing(store: Store) -> None:
    job_id, uid = add_job(store)

    def cancel_and_break() -> None:
        with store.transaction() as tx:
            tx.jobs.cancel(job_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cancel_and_break()
    assert state_of(store, uid) is JobState.QUEUED


def test_lists_page_through_everything_once(store: Store) -> None:
    uids = [add_job(store)[1] for _ in range(5)]
    seen: list[str] = []
    before = None
    while True:
        with store.read() as tx:
            page = tx.views.jobs(state=None, before=before, limit=2, alive_s=10)
        seen += [view.id for view in page.items]
        if page.cursor is None:
            break
        before = int(page.cursor)
    assert seen == uids[::-1]


def test_cohorts_wait_in_rows_not_in_memory(store: Store) -> None:
    job_id, _ = add_job(store)
    ids = add_round(store, job_id)
    with store.read() as tx:
        rows = tx.connection.execute(sa.select(cohort.c.id, cohort.c.state, cohort.c.queue)).all()
    assert [tuple(row) for row in rows] == [(cohort_id, "queued", "cpu") for cohort_id in ids]
