"""The file beside a report, over HTTP and by the client."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import recorded
from tests.builders.jobs import add_job
from tests.builders.reports import trained_report
from tests.builders.services import KEY
from whichopt import read_report, verify
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.evidence.report import beside
from whichopt.service.evidence.report.document import Report


@pytest.fixture
def uid(lite: Store) -> str:
    return recorded(lite, trained_report())


def test_most_reports_have_none(http: TestClient, uid: str) -> None:
    found = http.get(f"/v1/jobs/{uid}/report/examples")
    assert (found.status_code, found.content) == (204, b"")


def test_a_job_without_a_report_has_none_yet(http: TestClient, lite: Store) -> None:
    _, uid = add_job(lite)
    found = http.get(f"/v1/jobs/{uid}/report/examples")
    assert (found.status_code, found.json()["code"]) == (409, "no_recommendation")


def test_it_is_made_with_the_report_and_kept(
    http: TestClient, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MOST_BYTES", 100)
    first = http.get(f"/v1/jobs/{uid}/report/examples")
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/octet-stream"
    assert f'filename="whichopt-{uid}.examples"' in first.headers["content-disposition"]
    report = Report.model_validate_json(http.get(f"/v1/jobs/{uid}/report?format=json").content)
    assert report.lacks_examples
    assert report.with_examples(first.content).trials == trained_report().trials
    monkeypatch.setattr(beside, "set_apart", None)  # what is kept is not made again
    again = http.get(f"/v1/jobs/{uid}/report/examples")
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


def test_the_client_brings_both(url: str, uid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MOST_BYTES", 100)
    with Client(url, KEY) as client:
        assert client.report(uid).trials == trained_report().trials
        folder = tmp_path / "saved"
        folder.mkdir()
        client.save_report(uid, folder / "report.json", form="json")
    assert sorted(path.name for path in folder.iterdir()) == [
        "report.json",
        f"whichopt-{uid}.examples",
    ]
    checked = verify(read_report(folder / "report.json"))
    assert checked.outcome == "confirmed", checked
    assert "beside" not in checked.statement
