"""Data folders that earlier versions left behind open in this one; see `tests/earlier/README.md`."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.homes import Embedded
from tests.builders.optimizers import SIGN_DESCENT
from tests.builders.present import present
from tests.builders.services import Recorder
from whichopt.service.app import create_app
from whichopt.service.catalog import optimizers
from whichopt.service.db import Store
from whichopt.service.db.migrate import is_current, upgrade
from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.report.verify import verify
from whichopt.service.settings import Settings
from whichopt.service.states import JobState, TrialState
from whichopt.service.views import JobView, Recommendation

EARLIER = Path(__file__).parent / "earlier"
VERSIONS = sorted(folder.name for folder in EARLIER.iterdir() if folder.is_dir())
ALWAYS = ("", "/trials", "/studies.db")
SOMETIMES = ("/report", "/recommendation", "/forecast")
"""What a job that has not come to its end may answer with 409."""

EVERY_STATE = {JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED, JobState.RUNNING}


@pytest.fixture(params=VERSIONS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a version's folder."""
    return Path(shutil.copytree(EARLIER / request.param, tmp_path / "earlier"))


@pytest.fixture
def http(earlier: Path) -> Iterator[TestClient]:
    """The app over the earlier data, migrated."""
    data = earlier / "data"
    store = Store(f"sqlite:///{data / 'whichopt.db'}")
    upgrade(store)
    assert is_current(store)
    app = create_app(Settings(blobs=data / "blobs", reap_s=600), store, Recorder())
    key = (data / "api-key").read_text().strip()
    with TestClient(app, headers={"X-API-Key": key}) as http:
        yield http
    store.close()


def _jobs(http: TestClient) -> dict[JobState, JobView]:
    answer = http.get("/v1/jobs")
    assert answer.status_code == 200, answer.text
    jobs = [JobView.model_validate(one) for one in answer.json()["items"]]
    return {job.state: job for job in jobs}


def test_all_jobs_are_there_with_their_trials(http: TestClient) -> None:
    jobs = _jobs(http)
    assert set(jobs) == EVERY_STATE
    for state, job in jobs.items():
        for path in (*ALWAYS, *SOMETIMES):
            answer = http.get(f"/v1/jobs/{job.id}{path}")
            allowed = {200} if state is JobState.SUCCEEDED or path in ALWAYS else {200, 409}
            assert answer.status_code in allowed, (state, path, answer.text)
        trials = http.get(f"/v1/jobs/{job.id}/trials").json()["items"]
        assert any(trial["state"] == TrialState.COMPLETE for trial in trials)
    failed = jobs[JobState.FAILED]
    assert failed.error is not None
    assert failed.error.code == "worker_lost"


def test_a_recommendation_is_what_it_was(http: TestClient, earlier: Path) -> None:
    job = _jobs(http)[JobState.SUCCEEDED]
    recorded = json.loads((earlier / "reports" / "recommendation.json").read_text())
    now = http.get(f"/v1/jobs/{job.id}/recommendation").json()
    assert said_again(recorded, now) == recorded


def said_again(recorded: Any, now: Any) -> Any:
    """What `now` has where `recorded` has something: a later version may say more, never something else."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        return {name: said_again(value, now.get(name)) for name, value in recorded.items()}
    if isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        return [said_again(value, other) for value, other in zip(recorded, now, strict=True)]
    return now


@pytest.mark.parametrize("name", ["finished.json", "finished.html"])
def test_a_report_that_was_saved_is_read_and_verified(earlier: Path, name: str) -> None:
    report = read_report(earlier / "reports" / name)
    recorded = json.loads((earlier / "reports" / "recommendation.json").read_text())
    assert Recommendation.model_validate(recorded) == report.recommendation
    assert verify(report).outcome == "confirmed"


def test_a_report_that_is_made_again_is_verified(http: TestClient, tmp_path: Path) -> None:
    job = _jobs(http)[JobState.SUCCEEDED]
    for form in ("json", "html"):
        answer = http.get(f"/v1/jobs/{job.id}/report", params={"format": form})
        assert answer.status_code == 200, answer.text
        again = tmp_path / f"again.{form}"
        again.write_bytes(answer.content)
        assert verify(read_report(again)).outcome == "confirmed"


def test_a_job_that_is_sent_again_is_the_same_as_then(
    earlier: Path, http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that repeats a request across the upgrade, or the catalog's next edit, gets its job."""
    with closing(sqlite3.connect(earlier / "data" / "whichopt.db")) as database, database:
        database.execute("UPDATE job SET idempotency_key = uid, api_key_id = (SELECT min(id) FROM api_key)")
        sent = dict(database.execute("SELECT uid, spec FROM job").fetchall())

    def again(uid: str, **changes: Any) -> tuple[int, Any]:
        body = {**json.loads(sent[uid]), **changes}
        answer = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": uid})
        return answer.status_code, answer.json().get("id", answer.json().get("code"))

    accepted = [again(uid) for uid in sent]
    assert accepted == [(202, uid) for uid in sent]
    edited = (SIGN_DESCENT, *(replace(one, source=f"{one.source}, 2nd ed.") for one in optimizers.OPTIMIZERS))
    monkeypatch.setattr(optimizers, "OPTIMIZERS", edited)
    assert [again(uid) for uid in sent] == accepted
    for changes in ({"seed": 99}, {"agreement": "close"}):
        assert {again(uid, **changes) for uid in sent} == {(422, "idempotency_key_reused")}
    for uid, spec in sent.items():
        workload = {**json.loads(spec)["workload"], "metric": "accuracy"}
        assert again(uid, workload=workload) == (422, "idempotency_key_reused")
        shown = http.get(f"/v1/jobs/{uid}").json()["spec"]
        assert again(uid, **shown) == (202, uid)


def test_the_running_job_goes_on_to_its_end(earlier: Path) -> None:
    home = Embedded(earlier / "data", workers=1)
    try:
        before = {job.name: job for job in home.client.jobs().items}
        trials = {trial.id: trial for trial in home.client.trials(before["running"].id)}
        kept = {uid: trial for uid, trial in trials.items() if trial.state is TrialState.COMPLETE}
        assert kept
        home.finish(before["running"])
        after = {trial.id: trial for trial in home.client.trials(before["running"].id)}
        assert {uid: after[uid] for uid in kept} == kept
        concluded = home.client.recommendation(before["running"].id)
        assert (concluded.rules, present(concluded.stage).first) == (1, None), "as it began"
        for name in ("finished", "cancelled", "failed"):
            assert home.client.job(before[name].id).state is before[name].state
    finally:
        home.stop()
