"""The report as a worker makes it: after the conclusion, once, and again if it was lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from whichopt.service.db import Store
from whichopt.service.db.tables import report
from whichopt.service.dispatch import MAKE_REPORT, PLAN_QUEUE, CeleryDispatcher
from whichopt.service.reaper import sweep
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import JobState
from whichopt.workers import jobs

SPEC = {
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
    "batch_size": 32,
    "executor": "stacked",
    "kernels": "torch",
}


class Bell:
    """A dispatcher that answers a planner's and a cohort's doorbell at once, and writes a report's down."""

    def __init__(self) -> None:
        self.context: jobs.Context | None = None
        self.reports: list[int] = []
        self.states: list[JobState] = []

    def plan(self, job_id: int) -> None:
        assert self.context is not None
        jobs.plan_round(self.context, job_id)

    def cohorts(self, ids: Iterable[int], _queue: str) -> None:
        assert self.context is not None
        for cohort_id in ids:
            jobs.run_cohort(self.context, cohort_id)

    def report(self, job_id: int) -> None:
        assert self.context is not None
        self.reports.append(job_id)
        with self.context.store.read() as tx:
            uid = tx.jobs.uid_of(job_id)
            assert uid is not None
            found = tx.views.recommendation(uid)
        assert found is not None
        assert found[1] is not None
        self.states.append(found[0])

    def waiting(self, _queue: str) -> int | None:
        return 0

    def refusal(self) -> str | None:
        return None


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def context(store: Store, tmp_path: Path, bell: Bell) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", ring_again_s=1e-6)
    bell.context = jobs.Context(store, bell, settings, worker_name="w1")
    return bell.context


@pytest.fixture
def job_id(context: jobs.Context) -> int:
    """A job that has concluded."""
    with context.store.transaction() as tx:
        job_id, _ = tx.jobs.add(resolve(JobSpec.model_validate(SPEC)), queue="cpu")
    context.dispatcher.plan(job_id)
    return job_id


def kept(context: jobs.Context) -> dict[str, Any]:
    with context.store.read() as tx:
        return dict(tx.connection.execute(sa.select(report)).one()._mapping)


def test_the_conclusion_is_there_before_the_report_is_rung_for(bell: Bell, job_id: int) -> None:
    assert (bell.reports, bell.states) == ([job_id], [JobState.SUCCEEDED])


def test_a_worker_makes_it_once(context: jobs.Context, job_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept(context)["html"] is None
    jobs.make_report(context, job_id)
    made = kept(context)
    files = {file.name for file in context.settings.blobs.iterdir()}
    assert files == {made["html"], made["json"]}
    monkeypatch.setattr("whichopt.service.reporting.evidence", None)  # it would raise
    jobs.make_report(context, job_id)
    jobs.make_report(context, job_id + 1)
    assert kept(context) == made


def test_a_doorbell_that_is_lost_is_rung_again(context: jobs.Context, bell: Bell, job_id: int) -> None:
    with context.store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    bell.reports.clear()
    sweep(context.store, bell, context.settings)
    assert bell.reports == [job_id]
    jobs.make_report(context, bell.reports[0])
    sweep(context.store, bell, context.settings)
    assert bell.reports == [job_id]


def test_a_job_that_has_not_concluded_gets_none(context: jobs.Context) -> None:
    with context.store.transaction() as tx:
        job_id, _ = tx.jobs.add(resolve(JobSpec.model_validate(SPEC)), queue="cpu")
    jobs.make_report(context, job_id)
    assert not context.settings.blobs.exists()


def test_the_message_is_one_that_workers_take() -> None:
    from whichopt.workers.app import app

    assert MAKE_REPORT in app.tasks
    sent: list[tuple[str, list[int], str]] = []

    class Celery:
        def send_task(self, task: str, args: list[int], *, queue: str, retry: bool) -> None:
            assert not retry
            sent.append((task, args, queue))

    CeleryDispatcher(Celery()).report(7)
    assert sent == [(MAKE_REPORT, [7], PLAN_QUEUE)]
