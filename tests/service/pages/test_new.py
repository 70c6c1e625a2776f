"""The page of a new job: checked as it is typed, and started once."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.builders.forms import JSON, SMALL, Fields, fields, jobs_of, posted, told
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.catalog.founding_optimizers import FOUNDING
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec


def test_the_page_shows_a_whole_job_and_stores_nothing(http: TestClient) -> None:
    page = http.get("/new")
    assert page.status_code == 200
    assert "style=" not in page.text
    assert "onclick" not in page.text
    assert '<a href="/new" aria-current="page">New job</a>' in page.text
    found = JSON.search(page.text)
    assert found is not None
    sent = json.loads(html.unescape(found[1]))
    assert JobSpec.model_validate(sent).budget.trials == 48
    assert KEY not in page.text
    assert jobs_of(http) == []


def test_the_form_makes_the_job_that_the_api_would(http: TestClient, dispatcher: Recorder) -> None:
    sent = fields(http.get("/new").text, *SMALL, ("name", "<b>mine</b>"), ticked=["sgd", "adamw"])
    answer = posted(http, sent)
    assert answer.status_code == 303
    (job,) = jobs_of(http)
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    assert job["name"] == "<b>mine</b>"
    assert [one["label"] for one in job["spec"]["optimizers"]] == ["sgd", "adamw"]
    assert len(dispatcher.planned) == 1
    body = {
        "name": "<b>mine</b>",
        "workload": {"dataset": "wine", "model": "linear"},
        "optimizers": ["sgd", "adamw"],
        "budget": {"trials": 4, "replicates": 2, "confirm_seeds": 3},
    }
    assert http.post("/v1/jobs", json=body).json()["spec"] == job["spec"]


def test_an_optimizer_behind_the_fold_can_be_ticked(http: TestClient) -> None:
    page = http.get("/new").text
    assert page.count('name="optimizer"') == len(OPTIMIZERS)
    assert f"{len(OPTIMIZERS) - len(FOUNDING)} more optimizers" in page
    assert page.index("pick-lamb") < page.index('<details class="others">') < page.index("pick-lion")
    posted(http, fields(page, *SMALL, ticked=["sgd", "lion"]))
    (job,) = jobs_of(http)
    assert [one["label"] for one in job["spec"]["optimizers"]] == ["sgd", "lion"]


def test_a_double_click_makes_one_job_and_another_spec_another(http: TestClient) -> None:
    sent = fields(http.get("/new").text, *SMALL, ticked=["sgd"])
    first, second = posted(http, sent), posted(http, sent)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(jobs_of(http)) == 1
    changed = [(name, "7" if name == "seed" else text) for name, text in sent]
    assert posted(http, changed).headers["Location"] != first.headers["Location"]
    assert len(jobs_of(http)) == 2


def test_an_error_stands_at_its_field_and_everything_typed_stays(http: TestClient) -> None:
    page = http.get("/new").text
    answer = posted(
        http, fields(page, ("seeds", "300"), ("name", '"><i>x'), ("trials", "many"), ticked=["lamb"])
    )
    assert answer.status_code == 422
    assert "300 is not allowed; it should be less than or equal to 100" in told(answer.text, "seeds")
    assert '"many" is not allowed; it should be a valid integer' in told(answer.text, "trials")
    assert "<i>x" not in answer.text
    assert '<a href="#t-seeds">seeds</a>: 300 is not allowed' in answer.text
    again = dict(fields(answer.text))
    assert (again["seeds"], again["name"], again["trials"]) == ("300", '"><i>x', "many")
    assert again["optimizer"] == "lamb"
    assert jobs_of(http) == []


CASES = [
    (
        [("dataset", "wine"), ("model", "cnn")],
        "model",
        "model 'cnn' needs images, but dataset 'wine' has none",
    ),
    ([("model.mlp.hidden", "128, x")], "model.mlp.hidden", "it should be a valid integer"),
    ([("batch_size", "5000")], "batch_size", "exceeds the 1078 examples of the training split"),
    ([("trials", "7")], "trials", "cannot be divided into 3 equal studies; the nearest number that can is 6"),
    ([("minutes", "5")], "trials", "budget.minutes and budget.trials cannot both be given"),
    ([("space.sgd.lr.low", "9")], "optimizer.sgd", "space.lr: low 9 must be less than high 5"),
    (
        [("space.sgd.momentum.how", "fixed"), ("space.sgd.momentum.first", "2")],
        "optimizer.sgd",
        "momentum cannot",
    ),
    ([("today", "adamw"), ("today.adamw.lr", "-1")], "today.adamw.lr", "adamw: lr cannot be -1"),
    ([("margin", "-1")], "margin", "should be greater than 0"),
    ([("worst", "2")], "worst", "2 is not allowed"),
    ([("schedule", "x")], "schedule", "choose one of: constant, cosine, linear, trapezoid"),
    ([("dataset", "mine")], "dataset", "there is no dataset 'mine'"),
    ([("clip_norm", "0")], "clip_norm", "should be greater than 0"),
]


@pytest.mark.parametrize(("changes", "field", "said"), CASES, ids=[said for _, _, said in CASES])
def test_the_service_says_in_place_what_is_wrong(
    http: TestClient, changes: Fields, field: str, said: str
) -> None:
    answer = posted(http, fields(http.get("/new").text, *changes), "/new/check", htmx=True)
    assert answer.status_code == 200
    assert said in told(answer.text, field)
    assert "mended first" in answer.text


def test_without_an_optimizer_the_group_says_so(http: TestClient) -> None:
    answer = posted(http, fields(http.get("/new").text, ticked=[]), "/new/check", htmx=True)
    assert "at least 1 item" in told(answer.text, "optimizers")


def test_findings_of_lint_stand_in_place(http: TestClient) -> None:
    sent = fields(http.get("/new").text, ("trials", "12"), ("studies", "1"), ("seeds", "4"))
    answer = posted(http, sent, "/new/check", htmx=True)
    assert "There are at most 4 fresh seeds: allow 10" in told(answer.text, "seeds")
    assert "only one study" in told(answer.text, "studies")
    assert "mended first" not in answer.text


def test_by_the_clock_gives_minutes_instead_of_trials(http: TestClient) -> None:
    # As without scripts: the preset is chosen, and the fields are as they came.
    sent = fields(http.get("/new").text, ("preset", "clock"), ("dataset", "wine"), ticked=["sgd"])
    assert posted(http, sent).status_code == 303
    (job,) = jobs_of(http)
    assert job["spec"]["budget"]["minutes"] == 10
    assert job["spec"]["budget"]["trials"] is None


def test_the_options_follow_the_choice_of_dataset_model_and_optimizer(http: TestClient) -> None:
    changes = (("dataset", "friedman1"), ("model", "cnn"), ("today", "sgd"))
    part = posted(http, fields(http.get("/new").text, *changes), "/new/options", htmx=True).text
    for name in ("dataset.friedman1.noise", "model.cnn.channels", "today.sgd.momentum"):
        assert f'name="{name}"' in part
    assert "Mean absolute error" in part
    assert 'name="model.mlp.hidden"' not in part


def test_the_same_job_is_sent_by_a_shell_and_by_python(http: TestClient) -> None:
    name = 'it\'s "mine" & $HOME `x`'
    part = posted(http, fields(http.get("/new").text, *SMALL, ("name", name)), "/new/check", htmx=True).text
    texts = dict(re.findall(r'#as-(\w+)-text" hx-swap="textContent">(.*?)</hx-partial>', part, re.DOTALL))
    spec = json.loads(html.unescape(texts["json"]))
    assert spec["name"] == name
    curl = html.unescape(texts["curl"])
    assert KEY not in part
    shell = f"curl() {{ cat; }}\n{curl}"
    out = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == spec
    assert shlex.split(curl.splitlines()[0].rstrip("\\"))[2] == "http://testserver/v1/jobs"
    names: dict[str, Any] = {}
    program = html.unescape(texts["python"])
    exec(program[program.index("spec = ") : program.index("with Client")], names)
    assert names["spec"] == spec
    compile(program, "job.py", "exec")


def test_a_function_that_the_operator_allows_is_another_kind(
    settings: Settings, lite: Store, dispatcher: Recorder
) -> None:
    allowing = settings.model_copy(update={"allow": "ourlab.train:fit"})
    app: FastAPI = create_app(allowing, lite, dispatcher)
    with TestClient(app, headers={"X-API-Key": KEY}, follow_redirects=False) as http:
        page = http.get("/new").text
        assert "A function of yours" in page
        sent = fields(page, ("kind", "function"), ("function", "ourlab.train:fit"), ticked=["sgd"])
        answer = posted(http, sent)
        assert "names its metric by `minimize` or by `maximize`" in html.unescape(answer.text)
        sent = fields(answer.text, ("function.metric", "val_loss"))
        assert posted(http, sent).status_code == 303
        assert jobs_of(http)[0]["spec"]["workload"]["function"]["name"] == "ourlab.train:fit"


@pytest.mark.parametrize("address", ["/new", "/new/check", "/new/options", "/new/plan", "/new/fill"])
def test_more_fields_than_a_form_has_are_refused_in_words(http: TestClient, address: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = http.post(address, content="a=1&" * 5000, headers=form)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "a form may have 5,000 fields at most"


def test_another_origin_cannot_use_the_cookie(http: TestClient) -> None:
    sent = fields(http.get("/new").text, *SMALL)
    http.headers.pop("X-API-Key")
    http.cookies.set("whichopt_key", KEY)
    answer = http.post("/new", data=dict(sent), headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 401
