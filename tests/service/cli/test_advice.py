"""lint and translate: on the command line without a service, and lint over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.concluded_jobs import BODY
from whichopt.service.cli import app

RUN = CliRunner()
COPIED = {**BODY, "optimizers": [{"name": "adabelief", "space": {"eps": 1e-8}}]}


def test_lint_reads_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(COPIED))
    shown = RUN.invoke(app, ["lint", str(path)])
    assert shown.exit_code == 0, "a warning is no failure"
    assert "eps_of_adam" in shown.output
    found = json.loads(RUN.invoke(app, ["lint", str(path), "--json"]).stdout)["findings"]
    assert ("eps_of_adam", "optimizers.0.space.eps") in [(one["code"], one["field"]) for one in found]


def test_lint_fails_where_the_spec_would_be_refused() -> None:
    for body, field in (
        ({**BODY, "budgett": 1}, "budgett"),
        ({**BODY, "optimizers": ["adamww"]}, "optimizers.0.name"),
        ({"optimizer": "adam", "config": {"lr": -1}}, "setting.default.lr"),
        ({"optimizer": "adam", "config": {"betas": [0.9]}}, "setting.default.betas"),
    ):
        found = RUN.invoke(app, ["lint", "-", "--json"], input=json.dumps(body))
        assert found.exit_code == 1
        (one,) = json.loads(found.stdout)["findings"]
        assert one["severity"] == "error"
        assert one["field"].startswith(field)


def test_lint_without_a_service_says_which_one_to_ask_about_a_dataset_that_it_does_not_know() -> None:
    body = {**BODY, "workload": {"dataset": "wines", "model": "linear"}}
    found = RUN.invoke(app, ["lint", "-", "--json"], input=json.dumps(body))
    (one,) = json.loads(found.stdout)["findings"]
    assert "did you mean 'wine'?" in one["what"]
    assert "if it is your own, name the service that has it: --url" in one["instead"]


def test_lint_reads_a_setting_as_recommendations_show_it() -> None:
    body = {"optimizer": "adam", "config": {"lr": 0.5, "betas": [0.9, 0.999]}}
    found = RUN.invoke(app, ["lint", "-", "--json"], input=json.dumps(body))
    assert [one["code"] for one in json.loads(found.stdout)["findings"]] == ["lr_of_sgd"]


def test_translate() -> None:
    found = RUN.invoke(app, ["translate", "adam", "adabelief", "lr=1e-3", "eps=1e-8", "--json"])
    said = json.loads(found.stdout)
    assert said["exactness"] == "approximate"
    assert abs(said["config"]["eps"] - 1e-19) < 1e-22
    assert said["config"]["betas"] == [0.9, 0.999]
    assert "the square of Adam's eps" in said["warnings"][0]
    shown = RUN.invoke(app, ["translate", "adam", "qhadam", "betas=0.8,0.99"])
    assert "exact up to the last bits" in shown.output
    assert "(0.8, 0.99)" in shown.output


def test_translate_says_what_it_cannot_do() -> None:
    for arguments, said in (
        (["adam", "lamb"], "scales the step of each tensor"),
        (["adam", "adagrad"], "sum of all squares"),
        (["adam", "adamww"], "did you mean 'adamw'?"),
        (["adam", "sgd", "lr"], "name=value"),
        (["adam", "sgd", "lr=fast"], "lr cannot be 'fast'"),
        (["adam", "sgd", "momentum=0.9"], "no adam hyperparameter 'momentum'"),
    ):
        found = RUN.invoke(app, ["translate", *arguments])
        assert found.exit_code == 2
        assert said in " ".join(found.output.split())


def test_translate_says_what_the_target_may_not_have() -> None:
    found = RUN.invoke(app, ["translate", "adam", "adabelief", "betas=0,0.999", "--json"])
    assert "beta1 0 is not what adabelief may have" in " ".join(json.loads(found.stdout)["warnings"])


def test_lint_over_http_and_in_the_job(http: TestClient) -> None:
    found = http.post("/v1/lint", json=COPIED)
    assert found.status_code == 200
    assert "eps_of_adam" in [one["code"] for one in found.json()["findings"]]
    assert http.get("/v1/jobs").json()["items"] == [], "nothing was submitted"
    assert http.post("/v1/jobs", json=COPIED).json()["lint"] == found.json()["findings"]
    refused = http.post("/v1/lint", json={**BODY, "optimizers": ["adamww"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_name")
