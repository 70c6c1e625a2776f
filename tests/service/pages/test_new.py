"""The page of a new job: checked as it is typed, planned before it is paid for, started once."""

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

from tests.builders.concluded_jobs import concluded_job
from tests.builders.datasets import add_dataset
from tests.builders.jobs import make_spec
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec
from whichopt.service.states import DatasetState

Fields = list[tuple[str, str]]
HTMX = {"HX-Request": "true"}
JSON = re.compile(r'id="as-json-text"[^>]*>(.*?)</', re.DOTALL)


def fields(text: str, *changes: tuple[str, str], ticked: list[str] | None = None) -> Fields:
    """The fields that a browser sends of the page, with some of them changed."""
    form = text[text.index('<form id="new"') : text.index("</form>", text.index('<form id="new"'))]
    found: Fields = []
    for tag in re.findall(r"<input [^>]*>|<select .*?</select>|<textarea .*?</textarea>", form, re.DOTALL):
        head = tag[: tag.index(">") + 1]
        name = re.search(r'name="([^"]*)"', head)
        if name is None or (('type="checkbox"' in head or 'type="radio"' in head) and " checked" not in head):
            continue
        if tag.startswith("<select"):
            value = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', tag)
            text_of = "" if value is None else value[2] if value[1] is None else value[1]
        elif tag.startswith("<textarea"):
            text_of = tag[tag.index(">") + 1 : tag.rindex("<")]
        else:
            given = re.search(r'value="([^"]*)"', head)
            text_of = given[1] if given else ""
        found.append((html.unescape(name[1]), html.unescape(text_of)))
    changed = dict(changes)
    if ticked is not None:
        found = [one for one in found if one[0] != "optimizer"] + [("optimizer", name) for name in ticked]
    return [(name, text) for name, text in found if name not in changed] + list(changes)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def told(text: str, field: str) -> str:
    """What is said at a field, on a page or in a part of one."""
    found = re.search(rf'data-(?:told|for)="{re.escape(field)}">(.*?)(?:</li>|</div>\n)', text, re.DOTALL)
    return "" if found is None else words(found[1])


def posted(http: TestClient, sent: Fields, path: str = "/new", *, htmx: bool = False) -> Any:
    data: dict[str, Any] = {}
    for name, text in sent:
        data.setdefault(name, []).append(text)
    return http.post(path, data=data, headers=HTMX if htmx else {})


def jobs_of(http: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/v1/jobs").json()["items"]
    return found


SMALL = (("dataset", "wine"), ("model", "linear"), ("trials", "4"), ("studies", "2"), ("seeds", "3"))


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
    assert '<a href="#t-seeds">300 is not allowed' in answer.text
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
    ([("model.mlp.hidden", "128, x")], "model.mlp.hidden", "hidden.1: Input should be a valid integer"),
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


def test_a_plan_tells_time_and_chances_and_is_kept(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    concluded_job(lite, make_spec(workload={"dataset": {"name": "wine"}, "model": {"name": "linear"}}))
    sent = fields(http.get("/new").text, *SMALL, ticked=["adabelief", "sgd"])
    part = posted(http, sent, "/new/check", htmx=True).text
    assert 'hx-post="/new/plan"' in part
    planned = words(posted(http, sent, "/new/plan", htmx=True).text)
    assert "A true lead of 1 standard deviation between fresh seeds is named in" in planned
    assert re.search(r"1 sd .*\d+ %", planned)
    assert "What this rests on" in planned
    # From now on it is there at once, whatever the job is called, and is not computed again.
    drawn = http.get(
        re.findall(r'data-figure="([^"]*)"', posted(http, sent, "/new/check", htmx=True).text)[0]
    )
    assert "vega-lite" in drawn.json()["$schema"]
    assert http.get("/new/chances?plan=gone").status_code == 204
    monkeypatch.setattr("whichopt.service.plans.plan", None)
    named = [(name, "another name" if name == "name" else text) for name, text in sent]
    assert "A true lead of" in posted(http, named, "/new/check", htmx=True).text
    assert posted(http, named, "/new/plan", htmx=True).status_code == 200


def test_a_plan_of_a_job_that_is_wrong_or_of_a_busy_service_is_said(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = http.get("/new").text
    assert "right" in words(posted(http, fields(page, ("seeds", "1")), "/new/plan", htmx=True).text)
    monkeypatch.setattr("whichopt.service.plans._PLACES.acquire", lambda **_: False, raising=True)
    answer = posted(http, fields(page, ("seed", "99")), "/new/plan", htmx=True)
    assert "There is no plan yet: other plans are being computed" in words(answer.text)


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


def test_an_upload_can_be_raced_on(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins")
    add_dataset(lite, "half", state=DatasetState.READING)
    page = http.get("/new?dataset=penguins").text
    assert '<option value="penguins" selected>penguins: 100 examples, 2 features, 3 classes' in page
    assert '<option value="half"' not in page
    assert posted(http, fields(page, ("model", "linear"), ("batch_size", "8"))).status_code == 303
    assert jobs_of(http)[0]["spec"]["workload"]["dataset"]["name"] == "penguins"
    reading = http.get("/new?dataset=half").text
    assert "dataset 'half' is still being read" in told(reading, "dataset")


def test_an_optimizer_is_ticked_by_the_address(http: TestClient) -> None:
    ticked = [
        text
        for name, text in fields(http.get("/new?optimizer=lamb&optimizer=nope").text)
        if name == "optimizer"
    ]
    assert ticked == ["lamb", "adabelief", "adamw", "adam", "sgd", "radam", "nadam"]


def test_an_earlier_job_fills_the_form(http: TestClient, lite: Store) -> None:
    uid = concluded_job(lite)[1]
    page = http.get(f"/new?from={uid}")
    assert "This is the spec of" in page.text
    assert posted(http, fields(page.text)).status_code == 303
    new, old = jobs_of(http)
    for part in ("workload", "optimizers", "seed", "batch_size", "schedule"):
        assert new["spec"][part] == old["spec"][part]


def test_what_the_form_cannot_show_of_a_job_is_kept_as_a_whole(http: TestClient) -> None:
    body = {
        "workload": {"dataset": "wine", "model": "linear"},
        "optimizers": ["sgd", {"name": "sgd", "label": "sgd-wide", "space": {"momentum": 0.5}}],
        "budget": {"trials": 6, "confirm_seeds": 3},
    }
    uid = http.post("/v1/jobs", json=body).json()["id"]
    page = http.get(f"/new?from={uid}").text
    assert "The form cannot show everything in this spec (optimizers.1.label)" in page
    sent = dict(fields(page))
    assert sent["mode"] == "whole"
    assert posted(http, list(sent.items())).status_code == 303
    new, old = jobs_of(http)
    assert new["id"] != old["id"]
    assert new["spec"] == old["spec"]


@pytest.mark.parametrize("uid", ["nope", "00000000-0000-0000-0000-000000000000", "<script>"])
def test_a_job_that_is_not_there_is_said(http: TestClient, uid: str) -> None:
    page = http.get("/new", params={"from": uid})
    assert page.status_code == 200
    assert f"There is no job '{uid}'" in html.unescape(page.text)
    assert "<script>'" not in page.text


def test_a_pasted_spec_fills_the_form(http: TestClient) -> None:
    body = {"workload": {"dataset": "wine", "model": "linear"}, "optimizers": ["lamb"], "seed": 5}
    page = posted(http, [("pasted", json.dumps(body))], "/new/fill")
    assert page.status_code == 200
    sent = dict(fields(page.text))
    assert (sent["dataset"], sent["optimizer"], sent["seed"]) == ("wine", "lamb", "5")
    assert "mode" not in sent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{'a': 1}", "the spec is not JSON: line 1, column 2: JSON has strings in double quotes"),
        ("[1]", "a spec is a JSON object"),
        ("", "it is empty"),
        ('{"workload": {"dataset": "wine", "model": "linear"}, "optimisers": []}', "optimisers: no such key"),
        ('{"workload": {"dataset": "wihne", "model": "linear"}}', "did you mean 'wine'?"),
    ],
)
def test_a_pasted_spec_that_is_wrong_is_kept_and_told(http: TestClient, text: str, said: str) -> None:
    page = posted(http, [("pasted", text)], "/new/fill")
    assert page.status_code == 422
    assert said in told(page.text, "whole")
    assert dict(fields(page.text))["whole"] == text
    assert posted(http, fields(page.text)).status_code == 422


def test_the_form_becomes_a_whole_spec_and_a_form_again(http: TestClient) -> None:
    page = posted(http, fields(http.get("/new").text, ("seed", "12")), "/new/fill")
    whole = fields(page.text)
    assert json.loads(dict(whole)["whole"])["seed"] == 12
    again = posted(http, [*whole, ("into", "form")], "/new/fill")
    assert dict(fields(again.text))["seed"] == "12"
    assert "mode" not in dict(fields(again.text))


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


def test_another_origin_cannot_use_the_cookie(http: TestClient) -> None:
    sent = fields(http.get("/new").text, *SMALL)
    http.headers.pop("X-API-Key")
    http.cookies.set("whichopt_key", KEY)
    answer = http.post("/new", data=dict(sent), headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 401
