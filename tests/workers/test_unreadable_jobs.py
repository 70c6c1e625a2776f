"""A job whose spec a worker cannot read ends with its reason, and with one line in the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tests.builders.messages import Bell, answer, bell, submit
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, job, trial
from whichopt.service.settings import Settings
from whichopt.service.states import CohortState, JobState, TrialState
from whichopt.workers import jobs

NEWER = {"workload": {"dataset": {"name": "of-a-newer-version"}, "task": "ranking"}}


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    return jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w1")


def _break(context: jobs.Context, table: sa.Table, column: str, value: Any) -> None:
    with context.store.transaction() as tx:
        tx.connection.execute(
            sa.text(f"UPDATE {table.name} SET {column} = :value"),  # past the column's type
            {"value": json.dumps(value)},
        )


def _ended(context: jobs.Context) -> Any:
    with context.store.read() as tx:
        return tx.connection.execute(sa.select(job.c.state, job.c.error, job.c.uid)).one()


def _assert_failed(context: jobs.Context, logged: list[Any]) -> None:
    row = _ended(context)
    assert row.state == JobState.FAILED
    assert row.error["code"] == "unreadable_row"
    assert "It is kept as it is" in row.error["detail"]
    assert [(line["log_level"], line["event"], line["id"]) for line in logged] == [
        ("warning", "unreadable_row", row.uid)
    ]
    assert not any("exc_info" in line for line in logged)


def test_a_planner_fails_it(context: jobs.Context) -> None:
    job_id, _ = submit(context)
    _break(context, job, "spec", NEWER)
    with capture_logs() as logged:
        answer(context, ("plan", job_id))
    _assert_failed(context, logged)
    assert bell(context).rung == []


@pytest.mark.parametrize(("table", "column"), [(job, "spec"), (trial, "plan")])
def test_a_worker_that_claims_a_cohort_fails_it(context: jobs.Context, table: sa.Table, column: str) -> None:
    job_id, _ = submit(context)
    answer(context, ("plan", job_id))
    first = bell(context).rung.pop(0)
    _break(context, table, column, NEWER)
    with capture_logs() as logged:
        answer(context, first)
    _assert_failed(context, logged)
    with context.store.read() as tx:
        assert set(tx.connection.scalars(sa.select(cohort.c.state))) == {CohortState.CANCELLED}
        states = set(tx.connection.scalars(sa.select(trial.c.state)))
    assert states <= {TrialState.FAILED, TrialState.CANCELLED}
