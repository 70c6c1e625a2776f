"""What a job says that it does or waits for, in every door."""

from __future__ import annotations

import io
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from rich.console import Console

from tests.builders.concluded_jobs import conclude
from tests.builders.guests import guest_spec
from tests.builders.jobs import add_job, add_round, finish, must_claim, planning
from tests.builders.services import KEY
from tests.builders.waiting import DEADLINE_S
from whichopt.service.activity import JobActivity
from whichopt.service.cli.progress import Bars
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.db.migrate import downgrade, upgrade
from whichopt.service.db.tables import job
from whichopt.service.views import JobView


def activity(store: Store, uid: str) -> JobActivity:
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=15)
        assert view is not None
        assert view.activity is not None
        assert tx.views.activity(uid, alive_s=15) == view.activity
    return view.activity


def seen(store: Store, *, queue: str = "cpu", processes: int = 2) -> None:
    with store.transaction() as tx:
        tx.workers.seen(f"w-{queue}", queue=queue, processes=processes)


def test_a_job_tells_what_it_does_from_its_start_to_its_end(lite: Store) -> None:
    job_id, uid = add_job(lite)
    waits = activity(lite, uid)
    assert waits.what == "worker"
    assert waits.detail.startswith("Waiting for a worker: none is running. A worker that has just started")
    seen(lite, queue="cuda")
    assert "none is running for cpu (running: 2 for cuda)" in activity(lite, uid).detail

    seen(lite)
    plans = activity(lite, uid)
    assert (plans.what, plans.detail) == ("planning", "Planning the first round.")
    assert plans.since is not None
    planned = planning(lite, job_id)
    assert planned is not None
    with lite.transaction() as tx:
        tx.jobs.compiling(planned)
    compiles = activity(lite, uid)
    assert compiles.what == "kernel"
    assert "Compiling the optimizers' kernel" in compiles.detail

    first, second = add_round(lite, job_id)
    begins = activity(lite, uid)
    assert (begins.what, begins.detail) == (
        "queue",
        "Waiting for a worker process to begin 2 cohorts of round 1.",
    )
    claimed = must_claim(lite, first)
    trains = activity(lite, uid)
    assert trains.what == "training"
    assert trains.detail == "Training 1 cohort of round 1 (search), and 1 more in the queue."
    assert trains.since is not None
    assert trains.since > plans.since
    finish(lite, claimed)
    finish(lite, must_claim(lite, second))
    assert activity(lite, uid).detail == "Planning round 2, or the conclusion."
    conclude(lite, job_id)
    with lite.read() as tx:
        ended = tx.views.job(uid, alive_s=15)
        assert ended is not None
        assert ended.activity is None


def test_a_job_beside_other_work_says_how_much_is_ahead(lite: Store) -> None:
    seen(lite)
    other, _ = add_job(lite)
    first, second = add_round(lite, other)
    job_id, uid = add_job(lite)
    must_claim(lite, first)
    assert activity(lite, uid).what == "planning", "one of two processes is free"
    add_round(lite, job_id)
    waits = activity(lite, uid)
    assert waits.what == "queue"
    assert "1 cohort of other jobs ahead; 1 of 2 processes training" in waits.detail
    must_claim(lite, second)
    assert "next in line; 2 of 2 processes training" in activity(lite, uid).detail
    _, third = add_job(lite)
    unplanned = activity(lite, third)
    assert unplanned.what == "queue"
    assert "all 2 worker processes are training cohorts of other jobs" in unplanned.detail


def test_a_job_that_waits_for_the_only_process_says_so(lite: Store) -> None:
    seen(lite, processes=1)
    other, _ = add_job(lite)
    (cohort, *_) = add_round(lite, other)
    must_claim(lite, cohort)
    _, uid = add_job(lite)
    detail = activity(lite, uid).detail
    assert "the only worker process is training a cohort of another job" in detail


def test_a_function_that_no_worker_offers_is_waited_for(lite: Store) -> None:
    with lite.transaction() as tx:
        _, uid = tx.jobs.add(guest_spec(), queue="cpu")
    seen(lite)
    waits = activity(lite, uid)
    assert waits.what == "worker"
    assert waits.detail.startswith("Waiting for a worker that has ourlab.train:fit: none that is running for")
    assert "WHICHOPT_ALLOW" in waits.detail
    with lite.transaction() as tx:
        tx.workers.seen("w-cuda", queue="cuda", functions={"ourlab.train:fit": "0" * 64})
    assert activity(lite, uid).what == "worker", "it trains for another queue"
    with lite.transaction() as tx:
        tx.workers.seen("w-cpu", queue="cpu", functions={"ourlab.train:fit": "0" * 64})
    assert activity(lite, uid).what == "planning"
    with lite.read() as tx:
        view = tx.views.job(uid, alive_s=15)
    assert view is not None
    assert view.waiting_for is None


def test_a_cancel_that_trains_on_says_so(lite: Store) -> None:
    seen(lite)
    job_id, uid = add_job(lite)
    must_claim(lite, add_round(lite, job_id)[0])
    with lite.transaction() as tx:
        tx.jobs.cancel(job_id)
    assert activity(lite, uid).detail == "Cancelling: 1 cohort in training will stop within an epoch."


def test_the_etag_moves_with_what_is_waited_for(http: TestClient, lite: Store) -> None:
    seen(lite, processes=1)
    other, _ = add_job(lite)
    must_claim(lite, add_round(lite, other)[0])
    job_id, uid = add_job(lite)
    add_round(lite, job_id)
    before = http.get(f"/v1/jobs/{uid}")
    known = {"If-None-Match": before.headers["ETag"]}
    assert http.get(f"/v1/jobs/{uid}", headers=known).status_code == 304
    with lite.transaction() as tx:
        tx.jobs.cancel(other)
    after = http.get(f"/v1/jobs/{uid}", headers=known)
    assert after.status_code == 200
    assert after.json()["revision"] == before.json()["revision"]
    assert after.json()["activity"]["detail"] != before.json()["activity"]["detail"]


def test_events_tell_of_a_wait_that_moves_no_revision(lite: Store, url: str) -> None:
    job_id, uid = add_job(lite)
    heard: list[JobActivity | None] = []
    steps = {
        "worker": lambda: seen(lite),
        "planning": lambda: _cancel(lite, job_id),
    }

    def hear(view: JobView) -> None:
        heard.append(view.activity)
        if view.activity is not None and view.activity.what in steps:
            steps.pop(view.activity.what)()

    with Client(url, KEY) as client:
        waiting = threading.Thread(target=client.wait, args=(uid, hear), daemon=True)
        waiting.start()
        waiting.join(timeout=DEADLINE_S)
        assert not waiting.is_alive(), f"the stream told only {heard}"
    assert [one.what if one else None for one in heard if one is None or one.what != "training"][-1] is None
    assert {"worker", "planning"} <= {one.what for one in heard if one}


def _cancel(store: Store, job_id: int) -> None:
    with store.transaction() as tx:
        tx.jobs.cancel(job_id)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_says_it(lite: Store, terminal: bool) -> None:
    _, uid = add_job(lite)
    with lite.read() as tx:
        view = tx.views.job(uid, alive_s=15)
    assert view is not None
    assert view.activity is not None
    since = datetime.now(UTC) - timedelta(seconds=75)
    view = view.model_copy(update={"activity": view.activity.model_copy(update={"since": since})})
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=terminal, width=80 if terminal else 300)) as bars:
        bars.update(view)
        if terminal:
            bars.progress.refresh()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    shown = " ".join(plain.split())
    assert "Waiting for a worker: none is running." in shown
    seconds = re.search(r"\((\d+) s\)", shown)
    assert (seconds is not None and int(seconds[1]) >= 75) if terminal else seconds is None


def test_the_column_comes_and_goes_with_rows_in_the_tables(lite: Store) -> None:
    job_id, uid = add_job(lite)
    add_round(lite, job_id)
    downgrade(lite, "0004")
    assert "compiling_since" not in {column["name"] for column in sa.inspect(lite.engine).get_columns("job")}
    upgrade(lite)
    with lite.read() as tx:
        row: Any = tx.connection.execute(sa.select(job).where(job.c.uid == uid)).one()
        assert row.compiling_since is None
        view = tx.views.job(uid, alive_s=15)
        assert view is not None
        assert view.progress.trials_total > 0


def test_who_has_started_a_worker_is_not_told_to_start_one(lite: Store) -> None:
    _, uid = add_job(lite)
    with lite.read() as tx:
        view = tx.views.job(uid, alive_s=15)
    assert view is not None
    for own_worker, said in (
        (True, "The worker is starting, which takes a few seconds."),
        (False, "start one"),
    ):
        told = io.StringIO()
        with Bars(Console(file=told, width=300), own_worker=own_worker) as bars:
            bars.update(view)
        assert said in told.getvalue()
        assert ("python -m whichopt.workers" in told.getvalue()) != own_worker
