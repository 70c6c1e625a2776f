"""The plan of a new job: told before it is paid for, kept, and made for nobody who has typed on."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.forms import SMALL, fields, jobs_of, posted, words
from tests.builders.jobs import make_spec
from tests.builders.waiting import wait_until
from whichopt.service.db import Store
from whichopt.service.evidence.power.plan import plan_of
from whichopt.service.pages.new import plans as new_plans
from whichopt.service.past import PastJobs
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import JobPlan


def test_a_plan_tells_time_and_chances_and_is_kept(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    concluded_job(lite, make_spec(workload={"dataset": {"name": "wine"}, "model": {"name": "linear"}}))
    sent = fields(http.get("/new").text, *SMALL, ticked=["adabelief", "sgd"])
    part = posted(http, sent, "/new/check", htmx=True).text
    assert 'hx-post="/new/plan"' in part
    planned = words(posted(http, sent, "/new/plan", htmx=True).text)
    assert "If one optimizer truly leads by 1 standard deviation over seeds" in planned
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
    assert "truly leads by" in posted(http, named, "/new/check", htmx=True).text
    assert posted(http, named, "/new/plan", htmx=True).status_code == 200


def test_a_plan_of_a_busy_service_is_asked_for_again(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = http.get("/new").text
    assert posted(http, fields(page, ("seeds", "1")), "/new/plan", htmx=True).status_code == 204
    monkeypatch.setattr("whichopt.service.plans._PLACES.acquire", lambda **_: False, raising=True)
    answer = posted(http, fields(page, ("seed", "99")), "/new/plan", htmx=True)
    assert "There is no plan yet: other plans are being computed; it is asked for again" in words(answer.text)
    assert 'hx-trigger="load delay:3s"' in answer.text


def test_of_the_plans_that_a_form_asks_for_only_the_last_is_made(
    lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    going, go = Event(), Event()

    def slow(_: Store, spec: ResolvedSpec, *, alive_s: float) -> JobPlan:
        del alive_s
        made.append(spec.seed)
        going.set()
        assert go.wait(20)
        return plan_of(spec, PastJobs(jobs=(), spread=None), processes=1)

    specs = [make_spec(seed=seed) for seed in range(4)]

    def asked_for(seed: int) -> JobPlan | None:
        return new_plans.plan(lite, specs[seed], form="mine", alive_s=60)

    monkeypatch.setattr("whichopt.service.plans.plan", slow)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(asked_for, 1)
        assert going.wait(20)
        second = pool.submit(asked_for, 2)
        wait_until(lambda: new_plans._ASKED["mine"] == new_plans.name_of(specs[2]), "the second plan")
        third = pool.submit(asked_for, 3)
        assert second.result(20) is None
        go.set()
        assert first.result(20) is not None
        assert third.result(20) is not None
    assert made == [1, 3]


def test_without_scripts_a_check_is_a_page_with_the_plan(http: TestClient) -> None:
    sent = fields(http.get("/new").text, *SMALL, ("name", "mine"), ticked=["adabelief", "sgd"])
    page = posted(http, sent, "/new/check").text
    assert "If one optimizer truly leads by 1 standard deviation" in words(page)
    assert dict(fields(page))["name"] == "mine"
    assert jobs_of(http) == []
