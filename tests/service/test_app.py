"""The whole app: health, metrics, the page, what it starts and stops, what it imports."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job, motley_job
from tests.builders.jobs import add_job, make_spec
from tests.builders.services import KEY, Recorder
from tests.builders.waiting import wait_until
from whichopt.service.app import create_app, from_environment
from whichopt.service.db import Store
from whichopt.service.db.migrate import downgrade
from whichopt.service.routes.health import VERSION
from whichopt.service.settings import Settings


def test_healthz_asks_nothing_of_anybody() -> None:
    app = create_app(Settings(), Store("sqlite:////nowhere/at/all.db"), Recorder())
    assert TestClient(app).get("/healthz").json() == {"status": "ok", "version": VERSION}


def test_readyz_says_what_is_there(http: TestClient, lite: Store, dispatcher: Recorder) -> None:
    ready = {"status": "ready", "database": "current", "broker": "reachable", "workers": {}}
    assert http.get("/readyz").json() == ready
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    assert http.get("/readyz").json() == {**ready, "workers": {"cpu": 1}}
    with lite.transaction() as tx:
        tx.workers.seen("w2", queue="cpu", processes=3)
        tx.workers.seen("w3", queue="cuda", processes=8)
    assert http.get("/readyz").json() == {**ready, "workers": {"cpu": 4, "cuda": 8}}, "processes, not parents"
    dispatcher.refuses = "MISCONF Errors writing to the AOF file"
    answer = http.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["errors"][0]["field"] == "broker"
    assert "MISCONF Errors writing to the AOF file" in answer.json()["detail"]


def test_a_database_without_tables_is_unavailable(http: TestClient, lite: Store) -> None:
    downgrade(lite)
    assert http.get("/readyz").status_code == 503
    assert http.get("/healthz").status_code == 200


def test_metrics_count_requests_jobs_cohorts_and_workers(http: TestClient, lite: Store) -> None:
    add_job(lite)
    motley_job(lite)
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cuda", processes=2)
    http.get("/v1/jobs")
    http.get("/v1/nothing")
    answer = http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    values = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert values['whichopt_jobs{state="queued"}'] == "1.0"
    assert values['whichopt_jobs{state="running"}'] == "1.0"
    assert values['whichopt_jobs{state="failed"}'] == "0.0"
    assert abs(float(values["whichopt_clock_ahead_seconds"])) < 5
    assert values['whichopt_cohorts{queue="cpu",state="queued"}'] == "1.0"
    assert values['whichopt_cohorts{queue="cpu",state="running"}'] == "1.0"
    assert values['whichopt_workers{queue="cuda"}'] == "2.0"
    assert values['whichopt_workers{queue="cpu"}'] == "0.0"
    assert values['http_requests_total{handler="/v1/jobs",method="GET",status="2xx"}'] == "1.0"
    assert values['http_requests_total{handler="none",method="GET",status="4xx"}'] == "1.0"


# -- the page --------------------------------------------------------------------------------------------


def test_the_page_shows_every_job_with_links(http: TestClient, lite: Store) -> None:
    assert "No jobs yet" in http.get("/").text
    _, done = concluded_job(lite)
    _, running = motley_job(lite)
    answer = http.get("/")
    assert answer.headers["Content-Type"].startswith("text/html")
    for uid in (done, running):
        assert f'href="/jobs/{uid}"' in answer.text
    assert "http-equiv" not in answer.text, "a page that comes again loses where its reader was"
    for href in set(re.findall(r'(?:href|src)="([^"#][^"]*)"', answer.text)):
        assert http.get(href).status_code == 200, href


def test_the_page_counts_the_processes_that_train(http: TestClient, lite: Store) -> None:
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cpu", processes=2)
        tx.workers.seen("w2", queue="cuda", processes=4)
    assert "2 cpu, 4 cuda" in " ".join(http.get("/").text.split())


def test_the_page_runs_only_scripts_of_ours_and_shows_text_as_text(http: TestClient, lite: Store) -> None:
    add_job(lite, make_spec(name="<script>alert(1)</script>"))
    answer = http.get("/")
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.DOTALL)
    assert scripts
    assert all(' src="/assets/' in attributes and not text for attributes, text in scripts)
    assert "&lt;script&gt;" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text, "the policy would not allow it"


def test_the_page_leads_to_older_jobs(http: TestClient, lite: Store) -> None:
    uids = [add_job(lite)[1] for _ in range(26)]
    first = http.get("/").text
    assert uids[0] not in first
    older = re.search(r'href="(/\?cursor=\d+)"', first)
    assert older is not None
    assert uids[0] in http.get(older[1]).text


# -- start and stop --------------------------------------------------------------------------------------


def test_the_reaper_lives_as_long_as_the_app(lite: Store) -> None:
    dispatcher = Recorder()
    job_id, _ = add_job(lite)
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    app = create_app(Settings(reap_s=0.02, ring_again_s=0.05), lite, dispatcher)

    def reapers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "reaper"]

    with TestClient(app, headers={"X-API-Key": KEY}):
        assert len(reapers()) == 1
        wait_until(lambda: dispatcher.planned, "the reaper to ring for the job")
    assert job_id in dispatcher.planned
    assert not reapers()


def test_the_app_is_made_from_the_environment(migrated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", f"sqlite:///{migrated}")
    monkeypatch.setenv("WHICHOPT_BROKER_URL", "redis+socket:///nowhere/at/all.sock")
    monkeypatch.setattr("whichopt.service.logs.configure", lambda _: None)
    client = TestClient(from_environment(), headers={"X-API-Key": KEY})
    assert client.get("/v1/jobs").json()["items"] == []
    assert "broker" in client.get("/readyz").json()["detail"]


def test_importing_the_app_does_little() -> None:
    script = """
import sys, threading
import whichopt.service.app
heavy = {"torch", "scipy", "optuna", "optuna_dashboard", "celery", "alembic", "jinja2", "numpy", "sklearn"}
print(sorted(heavy & set(sys.modules)), threading.active_count())
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[] 1"
