"""The report over HTTP and the command line: of a job whose trials were really trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.concluded_jobs import recorded
from tests.builders.jobs import add_job
from tests.builders.reports import trained_report
from tests.builders.services import KEY
from whichopt.service.cli import app as commands
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.verify import verify

RUN = CliRunner()


@pytest.fixture
def uid(lite: Store) -> str:
    return recorded(lite, trained_report())


def test_the_report_is_there_once_the_job_has_concluded(http: TestClient, lite: Store) -> None:
    job_id, uid = add_job(lite)
    found = http.get(f"/v1/jobs/{uid}/report")
    assert (found.status_code, found.json()["code"]) == (409, "no_recommendation")
    with lite.transaction() as tx:
        tx.jobs.cancel(job_id)
    assert "it will have no recommendation" in http.get(f"/v1/jobs/{uid}/report").json()["detail"]
    assert http.get("/v1/jobs/00000000-0000-0000-0000-000000000000/report").status_code == 404


@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "", "text/html"),
        ("*/*", "", "text/html"),
        ("application/json", "", "application/json"),
        ("text/html;q=0.5, application/*", "", "application/json"),
        ("text/html", "?format=json", "application/json"),
    ],
)
def test_the_form_is_what_was_asked_for(
    http: TestClient, uid: str, monkeypatch: pytest.MonkeyPatch, accept: str, query: str, kind: str
) -> None:
    monkeypatch.setattr(
        "whichopt.service.evidence.report.html.render_html", lambda made: made.job.id
    )  # drawn in another test
    found = http.get(f"/v1/jobs/{uid}/report{query}", headers={"Accept": accept})
    assert found.status_code == 200
    assert found.headers["content-type"].split(";")[0] == kind
    ending = "html" if kind == "text/html" else "json"
    assert f'filename="whichopt-{uid}.{ending}"' in found.headers["content-disposition"]
    assert "default-src 'none'" in found.headers["content-security-policy"]


def test_a_form_that_there_is_not_is_refused(http: TestClient, uid: str) -> None:
    found = http.get(f"/v1/jobs/{uid}/report?format=pdf")
    assert (found.status_code, found.json()["code"]) == (422, "invalid_query")


def test_what_is_sent_is_the_whole_evidence_and_is_confirmed(http: TestClient, uid: str) -> None:
    found = Report.model_validate_json(http.get(f"/v1/jobs/{uid}/report?format=json").content)
    trained = trained_report()
    assert [trial.plan for trial in found.trials] == [trial.plan for trial in trained.trials]
    assert [trial.result for trial in found.trials] == [trial.result for trial in trained.trials]
    assert found.environments == trained.environments
    assert {trial.environment for trial in found.trials} == {0}
    assert found.job.id == uid
    assert verify(found).outcome == "confirmed"


def test_the_command_line_saves_and_verifies(url: str, uid: str, tmp_path: Path) -> None:
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    reached = ["--url", url, "--key", KEY]
    found = RUN.invoke(commands, ["report", uid, "--html", str(page), "-o", str(data), *reached])
    assert found.exit_code == 0, found.output
    assert page.read_text().startswith("<!doctype html>")
    with Client(url, KEY) as client:
        report = client.report(uid)
    assert Report.model_validate_json(data.read_bytes()) == report
    checked, of_data = (RUN.invoke(commands, ["verify", str(file)]) for file in (page, data))
    assert "that report was checked" in checked.output
    assert "inside of the page" not in of_data.output
    told = RUN.invoke(commands, ["verify", str(page), "--json"])
    assert "were not compared with it" in json.loads(told.output)["notes"][-1]
    shown = RUN.invoke(commands, ["report", uid, "--json", *reached])
    assert json.loads(shown.output)["raw_sha256"] == report.raw_sha256
    assert "Save the evidence" in RUN.invoke(commands, ["report", uid, *reached]).output


def test_verify_tells_by_its_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(trained_report().model_dump_json())
    found = RUN.invoke(commands, ["verify", str(path)])
    assert found.exit_code == 0, found.output
    assert "Consistent with itself" in found.output
    assert "only training again can tell" in " ".join(found.output.split())
    value = next(
        trial.result.value
        for trial in reversed(trained_report().trials)
        if trial.result is not None and trial.result.value is not None
    )
    path.write_text(path.read_text().replace(repr(value), repr(value / 2)))
    found = RUN.invoke(commands, ["verify", str(path), "--json"])
    assert found.exit_code == 1
    assert json.loads(found.output)["outcome"] == "differs"
    assert RUN.invoke(commands, ["verify", str(tmp_path / "none.json")]).exit_code == 2
