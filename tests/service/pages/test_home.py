"""The first page: each job with its answer, by state and by words, kept true while it runs."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job, motley_job, running_job
from tests.builders.jobs import add_job, make_spec
from whichopt.service.db import Store
from whichopt.service.db.tables import job

SCRIPT = "<script>alert(1)</script>"


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def page(http: TestClient, address: str = "/", **headers: str) -> str:
    answer = http.get(address, headers=headers)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text
    return answer.text


def shown(text: str) -> list[str]:
    """The ids of the jobs in the rows, in their order."""
    return re.findall(r'<tr id="job-([0-9a-f-]+)"', text)


def test_without_jobs_it_says_how_to_start(http: TestClient) -> None:
    text = page(http)
    assert "No jobs yet" in text
    assert 'href="/new"' in text
    assert "whichopt submit spec.json --wait" in text
    assert "<table" not in text


def test_a_row_says_the_answer_its_odds_and_what_it_took(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite, make_spec(name=SCRIPT))
    text = page(http)
    assert SCRIPT not in text
    assert f'<a class="name" href="/jobs/{uid}">&lt;script&gt;' in text
    assert "Use <strong>adabelief</strong>, lr 0.001: it raced alone" in text
    assert 'aria-label="Probability of being the best: adabelief 0.50"' in text
    assert re.search(r"linear on wine no clear winner .* 4 runs, 0\.\d s just now", words(text))
    assert 'id="poll">' in text, "nothing runs, so nothing is asked for again"


def test_tabs_count_and_choose(http: TestClient, lite: Store) -> None:
    _, done = concluded_job(lite)
    _, runs = running_job(lite)
    _, waits = add_job(lite)
    failed_id, failed = add_job(lite)
    with lite.transaction() as tx:
        tx.jobs.fail(failed_id, code="training_failed", detail="it raised")
    tabs = words(re.search(r'<nav class="chips".*?</nav>', page(http), re.S).group())  # type: ignore[union-attr]
    assert " ".join(tabs.split()) == "All 4 Running 1 Queued 1 Winner 0 No clear winner 1 Failed 1"
    for show, uids in (
        ("running", [runs]),
        ("queued", [waits]),
        ("unclear", [done]),
        ("failed", [failed]),
        ("winner", []),
        ("nonsense", [failed, waits, runs, done]),
    ):
        assert shown(page(http, f"/?show={show}")) == uids, show
    assert "There are no such jobs." in page(http, "/?show=winner")
    assert "Failed: it raised" in page(http, "/?show=failed")


def test_a_search_answers_a_script_with_what_changes(http: TestClient, lite: Store) -> None:
    concluded_job(lite)
    _, found = add_job(lite, make_spec(name="the other one"))
    assert shown(page(http, "/?q=OTHER++the")) == [found]
    answer = http.get("/?q=other&show=queued", headers={"HX-Request": "true"})
    assert shown(answer.text) == [found]
    assert "<html" not in answer.text
    assert '<hx-partial hx-target="#tabs"' in answer.text
    assert answer.headers["HX-Replace-Url"] == "/?show=queued&q=other"
    none = page(http, "/?q=%22nothing%22")
    assert "No job has “&#34;nothing&#34;” in its name" in none
    assert http.get("/", params={"q": "x" * 201}).status_code == 422


def test_rows_of_jobs_that_run_are_asked_for_until_they_have_ended(http: TestClient, lite: Store) -> None:
    _, done = concluded_job(lite)
    job_id, uid = motley_job(lite)
    asks = re.search(r'id="poll" hx-get="([^"]+)"', page(http, "/?q=wine"))
    assert asks is not None
    address = asks.group(1).replace("&amp;", "&")
    assert parse_qs(urlsplit(address).query) == {"q": ["wine"], "job": [uid]}
    moved = page(http, address)
    assert shown(moved) == [uid]
    assert done not in moved
    assert "Searching: <strong>belief</strong> leads" in moved
    assert "3 of 6 trials" in moved
    assert f'<hx-partial hx-target="#job-{uid}" hx-swap="outerMorph">' in moved
    assert 'hx-trigger="every 3s"' in moved
    with lite.transaction() as tx:
        tx.jobs.fail(job_id, code="training_failed", detail="it raised")
    moved = page(http, address)
    assert "Failed: it raised" in moved
    assert "hx-trigger" not in moved


def test_older_jobs_are_a_page_away(http: TestClient, lite: Store) -> None:
    uids = [add_job(lite)[1] for _ in range(27)]
    first = page(http, "/?show=queued")
    assert shown(first) == uids[:1:-1]
    older = re.search(r'href="(/\?show=queued&amp;cursor=\d+)"', first)
    assert older is not None
    second = page(http, older.group(1).replace("&amp;", "&"))
    assert shown(second) == [uids[1], uids[0]]
    assert '<a href="/?show=queued">Newest jobs</a>' in second


def test_a_row_that_cannot_be_read_hides_no_other(http: TestClient, lite: Store) -> None:
    broken, _ = add_job(lite, make_spec(name="a broken one"))
    _, uid = concluded_job(lite)
    with lite.transaction() as tx:
        tx.connection.execute(sa.update(job).where(job.c.id == broken).values(spec={"x": 1}))
    text = page(http)
    assert shown(text) == [uid]
    assert re.search(r"a broken one cannot be read what is stored of \S+ cannot be read", words(text))


def test_the_bar_follows_the_training_processes(http: TestClient) -> None:
    assert 'hx-get="/workers"' in page(http)
    answer = http.get("/workers")
    assert "0 training processes" in words(answer.text)
    assert "<html" not in answer.text
