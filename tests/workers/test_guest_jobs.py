"""A job about a person's own function from its first round to its report, with invented results."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.builders.guests import guest_spec, result_of
from tests.builders.services import Recorder
from whichopt.service import reporting
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.verify import verify
from whichopt.service.settings import Settings
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import CohortState, JobState
from whichopt.workers import jobs


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    return jobs.Context(store, Recorder(), Settings(blobs=tmp_path / "blobs"), worker_name="w1")


def added(store: Store, spec: ResolvedSpec, queue: str | None) -> tuple[int, str]:
    with store.transaction() as tx:
        return tx.jobs.add(spec, queue=queue)


def train_all(context: jobs.Context, job_id: int) -> None:
    """Plan and train round by round, as the process of the job would, until nothing is left."""
    while True:
        jobs.plan_round(context, job_id)
        with context.store.read() as tx:
            waiting = sa.select(cohort.c.id).where(
                cohort.c.job_id == job_id, cohort.c.state == CohortState.QUEUED
            )
            ids = list(tx.connection.scalars(waiting.order_by(cohort.c.id)))
        if not ids:
            return
        for cohort_id in ids:
            with context.store.transaction() as tx:
                claim = tx.cohorts.claim(cohort_id, worker_name="w1", lease_s=60, attempts=3)
            assert claim is not None
            assert claim.executor == "guest"
            results = [result_of(claim.spec, plan) for plan in claim.plans]
            with context.store.transaction() as tx:
                assert tx.cohorts.finish(claim, results)


@pytest.mark.parametrize("queue", [None, "cpu"])
def test_a_job_is_planned_concluded_and_verified(context: jobs.Context, queue: str | None) -> None:
    job_id, uid = added(context.store, guest_spec(), queue)
    train_all(context, job_id)
    with context.store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.error is None
    assert (view.state, view.executor) == (JobState.SUCCEEDED, "guest")
    with context.store.read() as tx:
        row = tx.reports.of_job(uid)
    assert row is not None
    kept = reporting.find_or_make(context.store, context.settings.blobs, uid, "json", row)
    report = Report.model_validate_json(kept.unpacked())
    assert verify(report).outcome == "confirmed"
    assert report.analysis.pairing is not None
    assert report.analysis.pairing.paired


def test_minutes_are_planned_by_the_rehearsal(context: jobs.Context) -> None:
    budget = {"minutes": 10, "replicates": 2, "epochs": 4, "confirm_seeds": 10}
    job_id, uid = added(context.store, guest_spec(budget=budget), "cpu")
    jobs.plan_round(context, job_id)
    with context.store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    plan = view.spec.budget.settled
    assert plan is not None
    assert plan.trial_seconds == {"adamw": 9.0, "sgd": 9.0}
    assert view.progress.trials_total > 0


def test_a_function_that_changed_fails_the_job_with_both_hashes(context: jobs.Context) -> None:
    job_id, uid = added(context.store, guest_spec(), "cpu")
    with context.store.transaction() as tx:
        tx.workers.seen("w2", queue="cpu", functions={"ourlab.train:fit": "ee" * 32})
    jobs.plan_round(context, job_id)
    with context.store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.error is not None
    assert view.error.code == "function_changed"
    assert "0f0f0f0f" in view.error.detail
    assert "eeeeeeee" in view.error.detail
