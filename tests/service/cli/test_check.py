"""The command for pipelines, `check`: what it writes, and the exit code that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.jobs import add_round, finish, must_claim, planning
from tests.builders.present import present
from tests.builders.services import KEY
from tests.builders.trials import confirm, flat
from whichopt.service.cli import app
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist

RUN = CliRunner()
BODY: dict[str, Any] = {
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adam", "sgd"],
    "budget": {"trials": 6, "replicates": 2, "epochs": 2, "confirm_seeds": 6},
}
TODAY = {"name": "adamw", "config": {"lr": 3e-4}}


def answered(url: str, store: Store, today: float, *, margin: dict[str, float] | None = None) -> None:
    """Add the job that the command will ask for, with its key, and conclude it: today's scores that."""
    body = {**BODY, "today": TODAY, **({} if margin is None else {"margin": margin})}
    with Client(url, KEY) as client:
        uid = client.submit(body, idempotency_key="asked").id
    with store.read() as tx:
        job_id = present(tx.jobs.id_of(uid))
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    planned = present(planning(store, job_id))

    def value(arm: Finalist, seed: int) -> float:
        of = {"adam": 0.5, "sgd": 0.9, "today": today}[arm.label]
        return of + 0.1 * arm.is_default + 0.001 * ((7 * seed + len(arm.label)) % 5)

    found = recommend(uid, planned.spec, confirm(planned.spec, flat(planned.spec), value))
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, found)


def files(tmp_path: Path) -> list[str]:
    (tmp_path / "job.json").write_text(json.dumps(BODY))
    (tmp_path / "today.json").write_text(json.dumps(TODAY))
    return ["check", str(tmp_path / "job.json"), "--today", str(tmp_path / "today.json")]


@pytest.mark.parametrize(
    ("today", "code", "heading"),
    [
        (0.2, 0, "## Keep what is used today"),
        (0.8, 3, "## A better config exists"),
        (0.5, 4, "## No difference can be told"),
    ],
)
def test_the_exit_code_is_the_answer(
    url: str, lite: Store, tmp_path: Path, today: float, code: int, heading: str
) -> None:
    answered(url, lite, today)
    told = RUN.invoke(app, [*files(tmp_path), "--idempotency-key", "asked", "--url", url, "--key", KEY])
    assert told.exit_code == code, told.output
    lines = told.stdout.splitlines()
    assert lines[0] == heading
    assert any(line.startswith("| today | adamw | lr=0.0003, betas=[0.9, 0.999]") for line in lines)
    assert any(line.startswith("| gain in nll | 95% interval |") for line in lines)


def test_a_summary_goes_to_a_file_and_to_that_of_a_pipeline_and_json_to_programs(
    url: str, lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(url, lite, 0.49, margin={"percent": 20.0})
    step = tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    summary = tmp_path / "summary.md"
    asked = [*files(tmp_path), "--margin", "20%", "--idempotency-key", "asked", "--url", url, "--key", KEY]
    told = RUN.invoke(app, [*asked, "--summary", str(summary), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["today"]["answer"] == "keep"
    assert step.read_text() == f"before\n{summary.read_text()}"


def test_what_is_no_question_is_refused(url: str, tmp_path: Path) -> None:
    asked, service = files(tmp_path), ["--url", url, "--key", KEY]
    nothing = RUN.invoke(app, [*asked[:2], *service])
    assert (nothing.exit_code, "nothing to keep" in nothing.stderr) == (2, True)
    for text in ("much", "nan%", "1e400", "inf%"):
        margin = RUN.invoke(app, [*asked, "--margin", text, *service])
        assert (margin.exit_code, f"--margin {text!r} is no number" in margin.stderr) == (2, True)
    twice = RUN.invoke(app, ["check", "-", "--today", "-", *service], input=json.dumps(BODY))
    assert (twice.exit_code, "cannot both be read" in twice.stderr) == (2, True)
    (tmp_path / "today.json").write_text('{"name": "adamww"}')
    unknown = RUN.invoke(app, [*asked, *service])
    assert (unknown.exit_code, "did you mean 'adamw'" in unknown.stderr) == (2, True)


@pytest.mark.parametrize("by_pipeline", [False, True])
def test_a_summary_that_cannot_be_written_is_told_before_a_job_is_made(
    url: str, http: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_pipeline: bool
) -> None:
    nowhere = str(tmp_path / "nowhere" / "summary.md")
    if by_pipeline:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", nowhere)
    asked = [*files(tmp_path), *([] if by_pipeline else ["--summary", nowhere])]
    told = RUN.invoke(app, [*asked, "--url", url, "--key", KEY])
    assert (told.exit_code, f"cannot write the summary to {nowhere}" in told.stderr) == (2, True)
    assert http.get("/v1/jobs").json()["items"] == []


def test_a_job_without_an_answer_is_an_error_to_a_pipeline(url: str, tmp_path: Path) -> None:
    with Client(url, KEY) as client:
        uid = client.submit({**BODY, "today": TODAY}, idempotency_key="asked").id
        client.cancel(uid)
    told = RUN.invoke(app, [*files(tmp_path), "--idempotency-key", "asked", "--url", url, "--key", KEY])
    assert told.exit_code == 2
    assert "is cancelled, so there is no answer" in told.stderr


def test_rest_shows_the_answer_and_todays_trials(http: TestClient, url: str, lite: Store) -> None:
    answered(url, lite, 0.8)
    (job,) = http.get("/v1/jobs").json()["items"]
    assert job["spec"]["today"]["config"]["lr"] == 3e-4
    found = http.get(f"/v1/jobs/{job['id']}/recommendation").json()
    assert found["today"]["answer"] == "switch"
    assert found["statement"].startswith(found["today"]["sentence"])
    shown = RUN.invoke(app, ["recommend", job["id"], "--url", url, "--key", KEY])
    assert "switch: Switch from today's adamw to adam" in shown.stdout
