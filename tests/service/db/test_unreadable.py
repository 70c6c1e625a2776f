"""A row that cannot be read is shown as such, and hides no other: a newer version's, or a damaged one."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job
from tests.builders.jobs import add_job, add_round
from tests.builders.services import KEY
from whichopt.service.cli import app
from whichopt.service.db import Store
from whichopt.service.db.tables import job, trial
from whichopt.service.states import JobState

BROKEN: list[tuple[str, Any]] = [
    ("spec", {"workload": {"dataset": {"name": "of-a-newer-version"}, "task": "ranking"}}),
    ("spec", {"a": "list of nothing"}),
    ("spec", [1, 2]),
    ("recommendation", {"verdict": "winner"}),
    ("error", {"code": 7, "more": []}),
    ("odds", ["adabelief"]),
    ("summary", {"verdict": 3}),
]


def _break(store: Store, uid: str, column: str, value: Any) -> None:
    with store.transaction() as tx:
        tx.connection.execute(sa.update(job).where(job.c.uid == uid).values({column: value}))


@pytest.mark.parametrize(("column", "value"), BROKEN)
def test_lists_survive_a_row_that_cannot_be_read(
    column: str, value: Any, http: TestClient, lite: Store
) -> None:
    (_, bad), (_, good) = concluded_job(lite), concluded_job(lite)
    _break(lite, bad, column, value)
    jobs = http.get("/v1/jobs").json()
    shown = [*jobs["items"], *jobs["unreadable"]]
    assert {one["id"] for one in shown} == {bad, good}
    found = http.get("/v1/recommendations").json()
    assert good in {one["job_id"] for one in found["items"]}
    page = http.get("/")
    assert page.status_code == 200
    assert http.get("/dashboard/api/studies").status_code == 200
    if column == "spec":
        for path in ("", "/trials", "/forecast", "/report", "/studies.db"):
            answer = http.get(f"/v1/jobs/{bad}{path}")
            assert (answer.status_code, answer.json()["code"]) == (409, "unreadable_row"), (path, answer.text)
        (row,) = jobs["unreadable"]
        assert row["id"] == bad
        assert "It is kept as it is" in row["problem"]
        assert "cannot be read" in page.text


@pytest.mark.parametrize("begun", [False, True])
def test_a_job_that_cannot_be_read_can_be_cancelled(begun: bool, http: TestClient, lite: Store) -> None:
    """The answer says that it is, although it cannot show the job."""
    job_id, uid = add_job(lite)
    if begun:
        add_round(lite, job_id)
    _break(lite, uid, "spec", {"of": "a newer version"})
    answer = http.post(f"/v1/jobs/{uid}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "unreadable_row")
    assert answer.json()["detail"].startswith(f"job {uid} is cancelled, but it cannot be shown: ")
    with lite.read() as tx:
        assert tx.connection.scalar(sa.select(job.c.state).where(job.c.uid == uid)) == JobState.CANCELLED
    assert http.post(f"/v1/jobs/{uid}/cancel").json()["code"] == "job_ended"


def test_a_trial_that_cannot_be_read_hides_no_other(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    before = http.get(f"/v1/jobs/{uid}/trials").json()["items"]
    with lite.transaction() as tx:
        tx.connection.execute(sa.update(trial).where(trial.c.uid == before[0]["id"]).values(plan={"x": 1}))
    page = http.get(f"/v1/jobs/{uid}/trials").json()
    assert [one["id"] for one in page["unreadable"]] == [before[0]["id"]]
    assert [one["id"] for one in page["items"]] == [one["id"] for one in before[1:]]


def test_the_command_shows_the_others_and_says_which_it_cannot(url: str, lite: Store) -> None:
    (_, bad), (_, good) = concluded_job(lite), concluded_job(lite)
    _break(lite, bad, "spec", {})
    ran = CliRunner().invoke(app, ["show", "--url", url, "--key", KEY])
    assert ran.exit_code == 0, ran.output
    assert good[-8:] in ran.stdout
    assert bad in ran.stderr
    assert "cannot be read" in ran.stderr
