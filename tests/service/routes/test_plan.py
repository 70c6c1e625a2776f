"""The plan of a job over HTTP, by the client and by the command; nothing is trained or remembered."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from rich.console import Console
from typer.testing import CliRunner

from tests.builders.concluded_jobs import BODY, concluded_job
from tests.builders.services import KEY, Recorder
from whichopt.service import plans
from whichopt.service.cli import app as command
from whichopt.service.cli.plan import plan_tables
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.spec import JobSpec
from whichopt.service.views import JobPlan


def test_a_plan_is_told_and_no_job_is_made(http: TestClient, dispatcher: Recorder) -> None:
    answer = http.post("/v1/plan", json=BODY)
    assert answer.status_code == 200
    plan = JobPlan.model_validate(answer.json())
    assert plan.cost is not None
    assert (plan.cost.search, plan.seconds) == (8, None)
    assert [row.lead for row in plan.power.optimizer] == [0.25, 0.5, 1.0, 2.0]
    assert all(0 <= row.weak <= row.chance <= 1 for row in plan.power.config)
    assert http.get("/v1/jobs").json()["items"] == []
    assert dispatcher.planned == []


def test_a_past_job_tells_the_time(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    plan = JobPlan.model_validate(http.post("/v1/plan", json=BODY).json())
    assert plan.seconds is not None
    assert plan.seconds > 0
    assert uid in plan.basis[0]


@pytest.mark.parametrize(
    "changes",
    [{"optimizers": ["adamww"]}, {"budget": {"trials": 5, "replicates": 2}}, {"nonsense": 1}],
    ids=str,
)
def test_a_wrong_spec_is_refused_as_it_is_for_a_job(http: TestClient, changes: dict[str, Any]) -> None:
    plan, job = (http.post(path, json={**BODY, **changes}) for path in ("/v1/plan", "/v1/jobs"))
    assert plan.status_code == 422
    assert {**plan.json(), "instance": ""} == {**job.json(), "instance": ""}


def test_who_waits_too_long_for_others_is_told_so(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "WAIT_S", 0.01)
    with plans._SIMULATING:
        answer = http.post("/v1/plan", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert http.post("/v1/plan", json=BODY).status_code == 200


def test_many_who_wait_leave_threads_for_other_requests(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "_PLACES", threading.BoundedSemaphore(1))
    with plans._PLACES:
        answer = http.post("/v1/plan", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    for _ in range(2):
        assert http.post("/v1/plan", json=BODY).status_code == 200, "a place is given back"


def test_a_number_of_runs_that_cannot_be_less_is_said_once(http: TestClient) -> None:
    plan = JobPlan.model_validate(http.post("/v1/plan", json=BODY).json())
    assert plan.cost is not None
    most = plan.cost.confirm
    for least, said in ((most, f"search, {most} to"), (most - 1, f"search, {most - 1} to {most} to")):
        cost = plan.cost.model_copy(update={"confirm_least": least})
        console = Console(record=True, width=200)
        console.print(plan_tables(plan.model_copy(update={"cost": cost})))
        assert f"{said} confirm" in console.export_text()


def test_the_client_and_the_command_show_it(url: str, tmp_path: Path) -> None:
    with Client(url, KEY) as client:
        plan = client.plan(JobSpec.model_validate(BODY))
        assert plan == client.plan(BODY)
    spec = tmp_path / "job.json"
    spec.write_text(json.dumps(BODY))
    shown = CliRunner().invoke(command, ["plan", str(spec), "--url", url, "--key", KEY])
    assert shown.exit_code == 0, shown.output
    assert "time  unknown" in shown.output
    assert "Chance that the config verdict names a true leader" in shown.output
    assert "Nothing tells how long it takes" in shown.output
    told = CliRunner().invoke(
        command, ["plan", "-", "--json", "--url", url, "--key", KEY], input=json.dumps(BODY)
    )
    assert JobPlan.model_validate_json(told.output) == plan
