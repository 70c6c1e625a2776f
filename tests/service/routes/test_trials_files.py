"""All trials of a job as a file: every one of them, flat, in CSV and in JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job, motley_job
from tests.builders.jobs import add_job, make_result, make_spec, must_claim, planning
from tests.builders.services import KEY
from whichopt.service.cli import app as commands
from whichopt.service.client import Client, ProblemError
from whichopt.service.db import Store
from whichopt.service.db.tables import trial
from whichopt.service.routes import trials as routes
from whichopt.service.spec import TODAY, JobSpec, resolve
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Seeds, TrialPlan


def table(http: TestClient, uid: str) -> list[dict[str, str]]:
    answer = http.get(f"/v1/jobs/{uid}/trials.csv")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def lines(http: TestClient, uid: str, query: str = "") -> list[dict[str, Any]]:
    answer = http.get(f"/v1/jobs/{uid}/trials.jsonl{query}")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_trial_is_a_line_whatever_its_state(http: TestClient, lite: Store) -> None:
    _, uid = motley_job(lite)
    rows = table(http, uid)
    assert [row["state"] for row in rows] == ["complete", "pruned", "diverged", "running", "queued"]
    first = rows[0]
    assert (first["optimizer"], first["phase"], first["origin"], first["number"]) == (
        *("belief", "search", "default"),
        "0",
    )
    assert (first["value"], first["config.lr"], first["config.beta1"]) == ("0.4", "0.001", "0.9")
    assert (first["config.rectify"], first["metrics.validation.accuracy"]) == ("false", "0.9")
    assert (first["metrics.test.nll"], first["seconds"], first["problem"]) == ("", "0.1", "")
    assert rows[1]["value"] == "", "one that was pruned has none"


def test_both_files_have_the_same_names_and_values(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    rows, objects = table(http, uid), lines(http, uid)
    assert len(rows) == len(objects) == 4
    for row, found in zip(rows, objects, strict=True):
        assert found.keys() <= row.keys()
        assert float(row["config.lr"]) == found["config.lr"]
        assert row["id"] == found["id"]
        assert "curve" not in found
    by_label = {row["optimizer"]: row for row in rows}
    assert by_label["sgd"]["config.momentum"] == "0.9"
    assert by_label["sgd"]["config.beta1"] == "", "which it does not have"
    assert by_label["adabelief"]["config.momentum"] == ""


def test_headers_say_what_the_file_is(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    answer = http.get(f"/v1/jobs/{uid}/trials.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="trials-{uid}.csv"'
    assert http.get(f"/v1/jobs/{uid}/trials.jsonl").headers["Content-Type"] == "application/jsonl"


def test_curves_come_only_if_asked_for(http: TestClient, lite: Store) -> None:
    _, uid = motley_job(lite)
    complete, _, _, running, queued = lines(http, uid, "?curves=true")
    assert complete["curve"] == [[1, 50, 0.9], [2, 100, 0.4]]
    assert running["curve"] == [[1, 50, 0.9]], "what there is so far"
    assert queued["curve"] == []


def test_every_trial_is_in_it_however_many(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "AT_ONCE", 2)
    _, uid = motley_job(lite)
    assert [row["number"] for row in table(http, uid)] == ["0", "1", "2", "3", "4"]
    _, waiting = add_job(lite)
    assert table(http, waiting) == []
    assert lines(http, waiting) == []


def test_a_row_that_cannot_be_read_is_there_and_says_why(http: TestClient, lite: Store) -> None:
    _, uid = motley_job(lite)
    with lite.transaction() as tx:
        tx.connection.execute(sa.update(trial).where(trial.c.number == 2).values(plan={"label": 3}))
    rows = table(http, uid)
    assert len(rows) == 5
    (damaged,) = (row for row in rows if row["problem"])
    assert damaged["id"]
    assert "cannot be read" in damaged["problem"]
    assert any("cannot be read" in found.get("problem", "") for found in lines(http, uid))


def test_todays_config_and_a_guests_own_metrics_are_columns(http: TestClient, lite: Store) -> None:
    workload = {"function": "ourlab.train:fit", "minimize": "val_loss"}
    spec = resolve(
        JobSpec.model_validate(
            {
                "workload": workload,
                "optimizers": ["sgd"],
                "today": {"name": "adam", "config": {"lr": 0.01}},
                "budget": {"trials": 3, "epochs": 2},
            }
        )
    )
    job_id, uid = add_job(lite, spec)
    planned = planning(lite, job_id)
    assert planned is not None
    assert spec.today is not None
    plan = TrialPlan(
        label=TODAY,
        optimizer="adam",
        config=spec.today.config,
        training=spec.training,
        seeds=Seeds(init=1, order=2, split=3),
        length=2,
        evaluations=(1, 2),
        phase=Phase.CONFIRM,
        origin=Origin.USER,
        replicate=None,
        number=0,
    )
    with lite.transaction() as tx:
        ids = tx.jobs.add_round(planned, [[plan]], spec=planned.spec, cut_short=False)
    assert ids is not None
    claimed = must_claim(lite, ids[0])
    with lite.transaction() as tx:
        metrics = {"test": {"val_loss": 0.5, "bleu": 31.0}}
        assert tx.cohorts.finish(claimed, [make_result().model_copy(update={"metrics": metrics})])
    (row,) = table(http, uid)
    assert (row["optimizer"], row["config.lr"], row["config.beta2"]) == ("today", "0.01", "0.999")
    assert (row["metrics.test.bleu"], row["metrics.test.val_loss"]) == ("31.0", "0.5")


def test_an_unknown_job_has_no_file(http: TestClient) -> None:
    for kind in ("csv", "jsonl"):
        answer = http.get(f"/v1/jobs/00000000-0000-0000-0000-000000000000/trials.{kind}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert http.get("/v1/jobs/00000000-0000-0000-0000-000000000000/trials.jsonl?curves=x").status_code == 422


# -- from Python and the command ---------------------------------------------------------------------------


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, KEY) as client:
        yield client


def test_a_client_saves_them(client: Client, lite: Store, tmp_path: Path) -> None:
    _, uid = motley_job(lite)
    client.save_trials(uid, tmp_path / "t.csv")
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 6
    client.save_trials(uid, tmp_path / "t.jsonl", curves=True)
    assert json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])["curve"][0] == [1, 50, 0.9]
    with pytest.raises(ValueError, match=r"one of \.csv, \.jsonl"):
        client.save_trials(uid, tmp_path / "t.txt")
    with pytest.raises(ValueError, match="cannot hold curves"):
        client.save_trials(uid, tmp_path / "u.csv", curves=True)
    with pytest.raises(ProblemError):
        client.save_trials("00000000-0000-0000-0000-000000000000", tmp_path / "u.csv")
    assert sorted(path.name for path in tmp_path.glob("[tu].*")) == ["t.csv", "t.jsonl"]


def test_the_command_exports_them_by_the_files_name(url: str, lite: Store, tmp_path: Path) -> None:
    _, uid = concluded_job(lite, make_spec(name="x"))
    to, connect = tmp_path / "t.csv", ["--url", url, "--key", KEY]
    done = CliRunner().invoke(commands, ["export", uid, "--to", str(to), *connect])
    assert done.exit_code == 0, done.output
    assert "a line for each trial" in done.output
    assert to.read_text().startswith("id,optimizer,phase")
    again = CliRunner().invoke(commands, ["export", uid, "--to", str(to), *connect])
    assert again.exit_code == 2
    refused = CliRunner().invoke(
        commands, ["export", uid, "--to", str(tmp_path / "c.csv"), "--curves", *connect]
    )
    assert refused.exit_code == 2
    assert "--curves needs a file that ends with .jsonl" in refused.output
