"""How batches grew, on a job's page: figures by request, and what its pick was trained with."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job, recorded
from tests.builders.jobs import add_job
from tests.builders.reports import growing_report
from whichopt.service.db import Store

FIGURES = ("batch-sizes", "batch-noise")


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture
def grown(lite: Store) -> str:
    """The id of a job that has concluded, in which the batches of one optimizer grow."""
    return recorded(lite, growing_report())


def test_the_verdict_shows_how_the_finalists_batches_grew(http: TestClient, grown: str) -> None:
    more = http.get(f"/jobs/{grown}/more").text
    assert "The batch of adadagradnorm grew from" in more
    for name in FIGURES:
        address = f"/jobs/{grown}/figures/batches/{name}?phase=confirm"
        assert f'data-figure="{address}"' in more
        spec = http.get(address).json()
        assert "adadagradnorm" in spec["description"]
        assert "sgd" not in spec["description"]


def test_the_search_shows_those_of_the_best_trials(http: TestClient, grown: str) -> None:
    page = http.get(f"/jobs/{grown}?act=search").text
    assert "How the batches grow" in page
    for name in FIGURES:
        address = f"/jobs/{grown}/figures/batches/{name}?phase=search"
        assert f'data-figure="{address}"' in page
        spec = http.get(address).json()
        lines = [layer for layer in spec["layer"] if layer["mark"]["type"] == "line"]
        assert {row["o"] for line in lines for row in line["data"]["values"]} == {"adadagradnorm"}
        assert "area" not in [layer["mark"]["type"] for layer in spec["layer"]]  # one run has no band


def test_a_job_of_fixed_batches_has_none_of_it(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    assert "How the batches" not in http.get(f"/jobs/{uid}?act=search").text
    assert "How the batches" not in http.get(f"/jobs/{uid}/more").text
    assert http.get(f"/jobs/{uid}/figures/batches/batch-sizes?phase=confirm").status_code == 204


def test_there_is_nothing_to_draw_before_a_trial_has_ended(http: TestClient, lite: Store) -> None:
    _, uid = add_job(lite, growing_report().spec)
    assert "How the batches grow" in http.get(f"/jobs/{uid}").text
    assert http.get(f"/jobs/{uid}/figures/batches/batch-noise?phase=search").status_code == 204


def test_other_figures_of_such_a_job_are_drawn(http: TestClient, grown: str) -> None:
    for address in (
        "learning-curves",
        "space?optimizer=sgd",
        "space?optimizer=adadagradnorm",
        "lr?optimizer=sgd",
    ):
        assert http.get(f"/jobs/{grown}/figures/{address}").json()["layer"]
    tried = http.get(f"/v1/jobs/{grown}/trials.csv").text
    assert "batch_eta" in tried.splitlines()[0]


def test_the_verdict_says_by_which_batches_its_pick_was_trained(http: TestClient, grown: str) -> None:
    said = words(http.get(f"/jobs/{grown}").text)
    pick = growing_report().recommendation
    assert pick.optimizer is not None
    assert pick.config is not None
    if "batch_eta" in pick.config:
        assert f"batches that may grow from {pick.config['batch_start']} to 536 examples" in said
    else:
        assert f"trained with batches of {pick.config['batch_size']} for 4 epochs" in said


def test_a_rerun_shows_the_batches_in_the_form(http: TestClient, grown: str) -> None:
    page = http.get(f"/new?from={grown}").text
    assert re.search(r'name="space.sgd.batch_size"[^>]* value="32, 64, 128"', page)
    assert "The whole spec is used" not in page


def test_an_error_in_a_batch_opens_its_group(http: TestClient) -> None:
    page = http.get("/new?optimizer=sgd").text
    assert '<details class="batches of-catalog">' in page
    once = re.search(r'name="once" value="([^"]+)"', page)
    assert once is not None
    sent = {"kind": "catalog", "dataset": "digits", "model": "linear", "optimizer": "sgd"}
    answer = http.post("/new", data={**sent, "once": once[1], "space.sgd.batch_size": "0"})
    assert answer.status_code == 422
    assert answer.text.count('<details class="batches of-catalog" open>') == 1
    field = re.search(r'<input id="f-space-sgd-batch_size"[^>]*>', answer.text)
    assert field is not None
    assert 'aria-invalid="true"' in field[0]
