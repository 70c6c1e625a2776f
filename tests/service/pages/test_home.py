"""The first page: jobs with their data, model and lint findings, and the datasets that were sent."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.datasets import add_dataset
from whichopt.service.db import Store
from whichopt.service.states import DatasetState


def words(http: TestClient) -> str:
    page = http.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "style=" not in page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def test_a_job_says_what_it_learns_from_and_what_lint_found(http: TestClient, lite: Store) -> None:
    concluded_job(lite)
    told = words(http)
    assert "Data: 178 rows, 13 features; 106 training, 36 validation, 36 test." in told
    assert "Model: linear, 42 params." in told
    assert re.search(r"\d lint findings: few_steps, few_trials", told)
    assert "warning few_steps (batch_size): a trial has 4 steps" in told
    assert "Datasets that were sent" not in told


def test_datasets_that_were_sent_are_listed_in_every_state(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins", rows=1000)
    add_dataset(lite, "stuck", state=DatasetState.READING)
    told = words(http)
    assert "Datasets that were sent" in told
    assert re.search(r"penguins ready 1,000 \S+ \S+ \(classification\) random \d+, \d+, \d+ uploaded", told)
    assert "stuck reading uploaded" in told
    assert '<a href="/v1/datasets/penguins">penguins</a>' in http.get("/").text
