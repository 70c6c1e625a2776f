"""Whoever plans a round stores the forecast of the one before, so that nobody who asks waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.builders.messages import SPEC, Bell
from whichopt.service.db import Store
from whichopt.service.evidence.forecast.round import of_round
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import JobState
from whichopt.workers import jobs


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    return jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs", tick_s=0.02), worker_name="w1")


def run(context: jobs.Context) -> tuple[int, str]:
    """A whole job, message by message."""
    with context.store.transaction() as tx:
        job_id, uid = tx.jobs.add(resolve(JobSpec.model_validate(SPEC)), queue="cpu")
    context.dispatcher.plan(job_id)
    assert isinstance(context.dispatcher, Bell)
    rung = context.dispatcher.rung
    while rung:
        kind, row = rung.pop(0)
        (jobs.plan_round if kind == "plan" else jobs.run_cohort)(context, row)
    return job_id, uid


def test_every_round_that_has_ended_has_its_forecast(context: jobs.Context) -> None:
    job_id, uid = run(context)
    with context.store.read() as tx:
        asked = tx.forecasts.asked(uid)
        assert asked is not None
        assert asked.round is not None
        assert asked.round >= 2, "search has two rounds at least, and confirm has one"
        stored = [tx.forecasts.stored(job_id, number) for number in range(asked.round + 1)]
        trials = tx.forecasts.trials(asked)
    assert all(stored)
    searched = [[row.trials for row in one.search] for one in stored if one is not None]
    assert searched == sorted(searched)
    assert searched[-1] == [SPEC["budget"]["trials"]] * 2  # type: ignore[index]
    assert asked.stored == stored[-1] == of_round(asked.spec, trials, risk=None)
    assert asked.stored is not None
    assert asked.stored.confirm is not None


def test_a_forecast_that_fails_fails_no_job(context: jobs.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("no such chance")

    monkeypatch.setattr(jobs, "of_round", broken)
    with capture_logs() as logged:
        _, uid = run(context)
    with context.store.read() as tx:
        job = tx.views.job(uid, alive_s=10)
        asked = tx.forecasts.asked(uid)
    assert job is not None
    assert job.state is JobState.SUCCEEDED
    assert asked is not None
    assert asked.stored is None
    assert "no such chance" in str([line for line in logged if line["event"] == "forecast_failed"])
