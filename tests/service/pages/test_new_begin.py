"""What the form of a new job begins with: an address, an earlier job, or a spec that is pasted."""

from __future__ import annotations

import html
import json
import re

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.datasets import add_dataset
from tests.builders.forms import fields, jobs_of, posted, told
from whichopt.service.db import Store
from whichopt.service.states import DatasetState


def test_an_upload_can_be_raced_on(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins")
    add_dataset(lite, "half", state=DatasetState.READING)
    page = http.get("/new?dataset=penguins").text
    assert '<option value="penguins" selected>penguins: 100 rows, 3 classes' in page
    assert '<option value="half"' not in page
    assert posted(http, fields(page, ("model", "linear"), ("batch_size", "8"))).status_code == 303
    assert jobs_of(http)[0]["spec"]["workload"]["dataset"]["name"] == "penguins"
    reading = http.get("/new?dataset=half").text
    assert "dataset 'half' is still being read" in told(reading, "dataset")


def test_a_model_is_chosen_by_the_address(http: TestClient) -> None:
    sent = dict(fields(http.get("/new?model=cnn").text))
    assert sent["model"] == "cnn"
    assert "model.cnn.channels" in sent


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
    assert re.search(rf"(There is n|N)o job '{re.escape(uid)}'", html.unescape(page.text))
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
