"""The page of a job: the act that it has reached, its rail, and what it says of a job that is not there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders import races
from tests.builders.concluded_jobs import concluded_job, running_job
from tests.builders.guests import guest_spec
from tests.builders.jobs import add_job, make_spec
from whichopt.service.db import Store
from whichopt.service.db.tables import job


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


def race(http: TestClient, store: Store, **of_job: Any) -> tuple[str, str]:
    """The words of a race's page, and its HTML."""
    _, uid = races.racing_job(store, **of_job)
    answer = http.get(f"/jobs/{uid}")
    assert answer.status_code == 200
    assert "style=" not in answer.text
    return words(answer.text.split("<main")[1]), answer.text


def test_the_first_trials_tell_how_optimizers_do_untuned(http: TestClient, lite: Store) -> None:
    told, html = race(http, lite, optimizers=races.SIX[:4], done=4, running=5)
    assert "4 trials are in." in told
    assert "untuned : adamw first, radam far behind. Nothing is said yet about who wins." in told
    assert told.count("too early") == 4
    assert html.count('class="live"') == 5
    assert html.count('class="hollow"') == 4
    assert "‹ default 1.55" in told


def test_a_race_is_told_in_words_marks_and_numbers(http: TestClient, lite: Store) -> None:
    told, html = race(http, lite)
    assert re.search(r"After 87 of 144 trials adabelief has the best one, 0\.07324: 32% below its own", told)
    assert re.search(r"The 57 trials left beat it with probability 0\.\d\d \.", told)
    assert "87 trials, 9 running, 5 pruned, 3 diverged" in told
    assert "the luckiest of many" in told
    dots, crosses = html.count('<circle class="trial"'), html.count('class="cut"')
    assert (dots, crosses, html.count('class="live"')) == (79, 5, 9)
    assert re.search(r"<title>trial 3 of study 1: [0-9.]+; lr [0-9.]+", html)
    assert "validation nll · better to the right" in told
    # By rank: the best first, and the numbers as a table besides.
    lanes = re.findall(r'<tr id="lane-\d+"><th scope="row">.*?</svg>([a-z]+)</span>', html)
    assert lanes[0] == "adabelief"
    assert sorted(lanes) == sorted(races.SIX)
    assert "where the best is" in told
    assert "1 5: 2 radam, 2 sgd, 1 adamw 7 of 15" in told
    assert "0.07324" in told


def test_a_mark_stays_where_it_was(http: TestClient, lite: Store) -> None:
    """A trial's mark has the same height whatever else comes in."""
    _, early = race(http, lite, done=84, running=0)
    _, late = race(http, lite, done=87, running=0)

    def heights(html: str) -> dict[str, str]:
        lane = html.split('id="lane-0"')[1].split("</tr>")[0]
        found = re.findall(r'cy="(\d+)%" r="3.1"><title>(trial \d+ of study \d)', lane)
        return {trial: height for height, trial in found}

    one, other = heights(early), heights(late)
    assert len(one.keys() & other.keys()) > 5
    assert all(one[trial] == other[trial] for trial in one.keys() & other.keys())


def test_more_is_better_to_the_right_as_well(http: TestClient, lite: Store) -> None:
    told, html = race(http, lite, metric="accuracy")
    assert "adabelief has the best one, 0.9634: 0.01732 above its own default" in told
    assert "validation accuracy · better to the right" in told
    axis = re.findall(r">([0-9.]+)</text>", html.split('id="axis"')[1])
    assert [float(text) for text in axis] == sorted(map(float, axis))


def test_thousands_of_trials_are_counted_by_bars(http: TestClient, lite: Store) -> None:
    _, html = race(http, lite, optimizers=races.SIX[:2], trials=400, done=600, running=4, replicates=2)
    lane = html.split('id="lane-0"')[1].split("</tr>")[0]
    assert 10 < lane.count('class="bin"') <= 60
    assert lane.count('class="trial top"') == 11  # and the best one as the mark
    assert '<circle class="trial"' not in html
    counted = sum(map(int, re.findall(r"<title>(\d+) trials</title>", lane)))
    assert 250 < counted <= 300


def test_a_function_of_ones_own_races_alike(http: TestClient, lite: Store) -> None:
    told, html = race(http, lite, spec=guest_spec(), done=7, running=1)
    assert "the function ourlab.train:fit" in told
    assert "After 7 of 16 trials" in told
    assert "validation val_loss · better to the right" in told
    assert html.count('class="live"') == 1


def test_a_search_that_is_given_minutes_has_no_total_yet(http: TestClient, lite: Store) -> None:
    _, uid = add_job(lite, make_spec(budget={"minutes": 5, "replicates": 2, "confirm_seeds": 3}))
    told = words(http.get(f"/jobs/{uid}").text)
    assert "not planned yet" in told
    assert "Nothing has been trained yet." in told
    assert "5.0 minutes in 2 studies" in told


def test_a_job_that_can_go_on_says_so(http: TestClient, lite: Store) -> None:
    job_id, uid = races.racing_job(lite, done=20, running=0)
    with lite.transaction() as tx:
        tx.jobs.fail(job_id, code="worker_lost", detail="its worker was killed, see `dmesg`")
    page = http.get(f"/jobs/{uid}").text
    assert "its worker was killed, see <code>dmesg</code>." in page
    assert "Go on with this job" in page
    assert "hx-sse:connect" not in page
    answer = http.post(f"/jobs/{uid}/resume", headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"
    assert "searching" in http.get(f"/jobs/{uid}").text


def test_a_job_that_would_fail_again_says_what_to_do(http: TestClient, lite: Store) -> None:
    job_id, uid = races.racing_job(lite, done=20, running=0)
    with lite.transaction() as tx:
        tx.jobs.fail(job_id, code="training_failed", detail="the model has no params")
    told = words(http.get(f"/jobs/{uid}").text)
    assert "The job failed (training_failed): the model has no params." in told
    assert "It would fail again as it is" in told
    assert "The job failed in its search, after 20 trials." in told
    refused = http.post(f"/jobs/{uid}/resume", headers={"HX-Request": "true"})
    assert refused.status_code == 409
    assert "would do so again" in words(refused.text)


@pytest.mark.parametrize("scripted", [True, False])
def test_cancel_is_a_post_of_the_page(http: TestClient, lite: Store, scripted: bool) -> None:
    _, uid = races.racing_job(lite, done=20, running=0)
    headers = {"HX-Request": "true"} if scripted else {}
    answer = http.post(f"/jobs/{uid}/cancel", headers=headers)
    if scripted:
        assert "It is being cancelled" in answer.text
    else:
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{uid}")
    told = words(http.get(f"/jobs/{uid}").text)
    assert "It was cancelled: nothing more is trained." in told
    assert "chance to lead" not in told
    again = http.post(f"/jobs/{uid}/cancel", headers=headers)
    assert again.status_code == 409
    assert http.get(f"/jobs/{uid}/cancel").status_code == 405


def test_a_search_cannot_be_concluded(http: TestClient, lite: Store) -> None:
    _, uid = races.racing_job(lite, done=20, running=0)
    assert "Conclude" not in http.get(f"/jobs/{uid}").text
    refused = http.post(f"/jobs/{uid}/conclude", headers={"HX-Request": "true"})
    assert refused.status_code == 409
    assert "it is still searching" in words(refused.text)


def test_curves_are_read_when_they_are_asked_for(http: TestClient, lite: Store) -> None:
    _, uid = races.racing_job(lite, optimizers=races.SIX[:2], done=12, running=2)
    spec = http.get(f"/jobs/{uid}/figures/learning-curves").json()
    assert "vega-lite" in spec["$schema"]
    assert "adabelief ends at" in spec["description"]
    _, empty = add_job(lite)
    assert http.get(f"/jobs/{empty}/figures/learning-curves").status_code == 204
    assert http.get("/jobs/nothing/figures/learning-curves").status_code == 404


def test_a_job_that_cannot_be_read_says_so_in_the_frame(http: TestClient, lite: Store) -> None:
    job_id, uid = add_job(lite)
    with lite.transaction() as tx:
        tx.connection.execute(job.update().where(job.c.id == job_id).values(spec={"workload": 1}))
    page = http.get(f"/jobs/{uid}")
    assert page.status_code == 409
    assert "This job cannot be read" in page.text
    assert "restore a backup" in page.text
