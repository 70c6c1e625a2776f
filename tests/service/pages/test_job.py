"""The page of a job: the act that it has reached, its rail, and what it says of a job that is not there."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job, running_job
from tests.builders.jobs import add_job, make_spec
from whichopt.service.db import Store


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_job_is_shown_in_the_act_that_it_has_reached(http: TestClient, lite: Store) -> None:
    _, searching = running_job(lite)
    _, concluded = concluded_job(lite)
    assert 'id="race"' in http.get(f"/jobs/{searching}").text
    assert "No clear winner." in http.get(f"/jobs/{concluded}").text
    assert 'id="race"' in http.get(f"/jobs/{concluded}?act=search").text
    # A later act than it has reached cannot be looked at.
    assert 'id="race"' in http.get(f"/jobs/{searching}?act=verdict").text


def test_what_is_no_job_is_said_in_the_frame(http: TestClient) -> None:
    for asked in ("00000000-0000-0000-0000-000000000000", "nothing", "<b>"):
        page = http.get(f"/jobs/{asked}")
        assert page.status_code == 404
        assert "No such job" in page.text
        assert "<b>" not in page.text.split("<main")[1]


def test_names_are_escaped(http: TestClient, lite: Store) -> None:
    _, uid = add_job(lite, make_spec(name="<script>alert(1)</script>"))
    page = http.get(f"/jobs/{uid}").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
