"""The whole journey with real processes, in both homes, disturbed and undisturbed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import optuna
import pytest
from sklearn.datasets import load_digits

from tests.builders.databases import Postgres
from tests.builders.homes import SPEC, Embedded, Home, Production
from tests.builders.waiting import wait_until
from whichopt.service.exit_codes import CANNOT
from whichopt.service.states import CohortState, JobState, Phase
from whichopt.workers import products
from whichopt.workers.embedded.broker import Broker
from whichopt.workers.engine.agree import agreement

pytestmark = pytest.mark.journey

TRAINER, BROKER, API, WORKER = "billiard.spawn", "valkey-server", "uvicorn", "-m whichopt.workers --queue"
"""What the command lines of a home's processes have in them."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Embedded]]:
    """Starts embedded homes over the test's data folder; ends what the test leaves running."""
    homes: list[Embedded] = []

    def begin(workers: int = 2) -> Embedded:
        homes.append(Embedded(tmp_path / "what? 100% of #1", workers=workers))
        return homes[-1]

    yield begin
    for home in homes:
        if home.process.poll() is None:
            home.stop()


def expected_trials(home: Home, job_id: str) -> None:
    """Exactly the trials that were asked for, each counted once."""
    trials = list(home.client.trials(job_id))
    budget = SPEC["budget"]
    search = [(t.optimizer, t.replicate, t.number) for t in trials if t.phase is Phase.SEARCH]
    assert sorted(search) == [
        (label, replicate, number)
        for label in SPEC["optimizers"]
        for replicate in range(budget["replicates"])
        for number in range(budget["trials"] // budget["replicates"])
    ]
    confirm = [(t.optimizer, str(t.config), t.number) for t in trials if t.phase is Phase.CONFIRM]
    assert len(confirm) == len(set(confirm))
    assert {number for _, _, number in confirm} == set(range(budget["confirm_seeds"]))


def digits(folder: Path) -> Path:
    """Write the digits to a file, as a person has a table."""
    pixels, labels = load_digits(return_X_y=True)
    names = [*(f"p{i}" for i in range(pixels.shape[1])), "digit"]
    table = np.column_stack([pixels, labels])
    np.savetxt(folder / "digits.csv", table, "%d", ",", header=",".join(names), comments="")
    return folder / "digits.csv"


def test_the_embedded_home_survives_kill_and_ctrl_c_and_answers_the_same(
    start: Callable[..., Embedded], tmp_path: Path
) -> None:
    """The job's data are a person's own, so that they too must be found again."""
    home = start(workers=2)
    home.client.add_dataset(digits(tmp_path), "digit", name="own")
    spec = {**SPEC, "workload": {**SPEC["workload"], "dataset": {"name": "own"}}}
    undisturbed = home.client.submit(spec)
    assert undisturbed.spec.workload.upload is not None
    expected = home.outcome(undisturbed)
    expected_trials(home, undisturbed.id)
    assert set(home.attempts()) == {1}
    # What trained it had asked for reproducible products, and its probe decided for the job.
    assert {place.mkl_cbwr for place in home.environments()} == {products.mode()}
    assert home.client.job(undisturbed.id).spec.agreement == agreement()

    # kill -9 in the middle of a cohort.
    killed = home.submit_and_catch(spec, 2)
    home.parts(TRAINER)[0].kill()
    assert home.outcome(killed) == expected
    expected_trials(home, killed.id)
    assert max(home.attempts()) >= 2

    # Ctrl-C in the middle of a job; one worker goes on with it.
    interrupted = home.submit_and_catch(spec, 1)
    assert "Ctrl-C ends it" in home.stop()
    home = start(workers=1)
    assert home.outcome(interrupted) == expected
    expected_trials(home, interrupted.id)

    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "whichopt.service.cli",
            "export",
            interrupted.id,
            "--to",
            "x.db",
            "--data",
            home.data,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "optuna.load_study" in found.stdout
    storage = f"sqlite:///{tmp_path / 'x.db'}"
    names = optuna.get_all_study_names(storage)
    assert len(names) == 4
    for name in names:
        study = optuna.load_study(study_name=name, storage=storage)
        assert len(study.trials) == 4
        assert study.best_value > 0
    home.stop()


def test_any_part_of_the_embedded_home_may_be_killed(start: Callable[..., Embedded]) -> None:
    home = start(workers=2)
    expected = home.outcome(home.client.submit(SPEC))
    for part in (BROKER, API, WORKER):
        job = home.submit_and_catch(SPEC, 2)
        (process,) = home.parts(part)
        process.kill()
        process.wait()
        wait_until(home.answers, "the API to answer again")
        assert home.outcome(job) == expected, part
        expected_trials(home, job.id)

    job = home.submit_and_catch(SPEC, 2)
    home.kill()
    home = start(workers=2)
    assert home.outcome(job) == expected
    home.stop()


def test_a_stranger_with_curl_finds_everything(start: Callable[..., Embedded]) -> None:
    home = start()
    url = (home.data / "url").read_text().strip()
    with httpx.Client(base_url=url, trust_env=False) as stranger:
        assert stranger.get("/healthz").json()["status"] == "ok"
        assert stranger.get("/v1/jobs").status_code == 401
    key = {"X-API-Key": (home.data / "api-key").read_text().strip()}
    assert (home.data / "api-key").stat().st_mode & 0o777 == 0o600
    with httpx.Client(base_url=url, headers=key, timeout=30, trust_env=False) as curl:
        answer = curl.post("/v1/jobs", json=SPEC)
        assert answer.status_code == 202
        where = answer.headers["Location"]
        early = curl.get(f"{where}/recommendation")
        assert early.status_code == 409
        assert early.json()["code"] == "no_recommendation"
        with curl.stream("GET", f"{where}/events") as events:
            lines = [line for line in events.iter_lines() if line.startswith("event:")]
        assert {line.split(": ")[1] for line in lines} == {"job", "trial"}
        assert curl.get(where).json()["state"] == JobState.SUCCEEDED
        assert curl.get(f"{where}/recommendation").json()["optimizer"] in SPEC["optimizers"]
        assert len(curl.get(f"{where}/trials", params={"limit": 5}).json()["items"]) == 5
        similar = curl.get("/v1/recommendations", params={"dataset": "digits", "model": "mlp"})
        assert len(similar.json()["items"]) == 1
        made = {"html", "json"}
        wait_until(lambda: home.report_forms(where.rsplit("/", 1)[1]) == made, "a worker to make the report")
        report = curl.get(f"{where}/report", headers={"Accept": "text/html"}, timeout=120)
        assert report.text.startswith("<!doctype html>")
        known = {"Accept": "text/html", "If-None-Match": report.headers["ETag"]}
        assert curl.get(f"{where}/report", headers=known).status_code == 304
        studies = curl.get("/api/studies")
        assert len(studies.json()["study_summaries"]) == 4
        for page in ("/", "/dashboard", "/docs", "/metrics", "/readyz", "/v1/optimizers", "/openapi.json"):
            assert curl.get(page, follow_redirects=True).status_code == 200, page
        studies_db = curl.get(f"{where}/studies.db").content
    assert studies_db.startswith(b"SQLite format 3")
    home.stop()


def test_a_job_without_its_worker_says_so_and_can_be_cancelled(start: Callable[..., Embedded]) -> None:
    home = start(workers=1)
    job = home.client.submit({**SPEC, "device": "cuda"})
    wait_until(lambda: home.client.job(job.id).waiting_for, "the job to say what it waits for")
    assert "--queue cuda" in str(home.client.job(job.id).waiting_for)
    home.client.cancel(job.id)
    assert home.client.wait(job.id).state is JobState.CANCELLED

    long = home.client.submit({**SPEC, "budget": {**SPEC["budget"], "epochs": 1000}})
    wait_until(lambda: home.cohorts(CohortState.RUNNING), "a cohort to train")
    home.client.cancel(long.id)
    assert home.client.wait(long.id).state is JobState.CANCELLED
    assert home.cohorts(CohortState.RUNNING) == 0
    home.stop()


def test_two_homes_never_share_a_data_folder(start: Callable[..., Embedded]) -> None:
    home = start(workers=1)
    second = subprocess.run(
        [sys.executable, "-m", "whichopt.workers.embedded", f"--data={home.data}", "--port=1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == CANNOT
    assert "another whichopt is running on" in second.stderr
    assert home.client.jobs().items == []
    home.stop()


def test_the_production_home_survives_the_death_of_a_worker(
    postgres: Postgres, broker: Broker, tmp_path: Path
) -> None:
    home = Production(postgres.database(migrated=False), broker, tmp_path, workers=2)
    undisturbed = home.client.submit(SPEC)
    expected = home.outcome(undisturbed)
    assert set(home.attempts()) == {1}
    killed = home.submit_and_catch(SPEC, 2)
    home.kill_a_worker()
    assert home.outcome(killed) == expected
    expected_trials(home, killed.id)
    assert max(home.attempts()) >= 2
    home.stop()


def test_what_is_left_behind_is_a_plain_sqlite_file(start: Callable[..., Embedded]) -> None:
    home = start(workers=1)
    home.stop()
    with sqlite3.connect(home.data / "whichopt.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
