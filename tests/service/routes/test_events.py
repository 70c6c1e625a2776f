"""The event stream: what changed, in order, resumable, and it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import fastapi.routing
import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import conclude, concluded_job, motley_job
from tests.builders.jobs import add_job, add_round, finish, must_claim
from tests.builders.large_jobs import large_job
from tests.builders.waiting import DEADLINE_S, wait_until
from whichopt.service.db import Store
from whichopt.service.db.tables import trial
from whichopt.service.db.view_reader import ViewReader
from whichopt.service.routes import events
from whichopt.service.settings import Settings
from whichopt.service.views import JobView


def parse(text: str) -> list[tuple[str, int | None, Any]]:
    """(kind, id, data) of each event in a stream that has ended."""
    events = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            id_ = int(lines["id"]) if "id" in lines else None
            events.append((lines["event"], id_, json.loads(lines["data"])))
    return events


def follow(http: TestClient, uid: str, last: int | None = None) -> list[tuple[str, int | None, Any]]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    answer = http.get(f"/v1/jobs/{uid}/events", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    return parse(answer.text)


def test_a_job_that_has_ended_is_told_whole(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    events = follow(http, uid)
    assert [kind for kind, _, _ in events] == ["trial"] * 4 + ["job"]
    kind, id_, job = events[-1]
    assert (kind, id_, job["state"]) == ("job", job["revision"], "succeeded")
    assert http.get(f"/v1/jobs/{uid}").json() == job


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Waits until a stream has looked at the job from here on, and sent what it saw."""
    looks = 0
    news = events._news

    def counted(*arguments: Any) -> JobView | None:
        nonlocal looks
        looks += 1
        return news(*arguments)

    monkeypatch.setattr(events, "_news", counted)

    def wait() -> None:
        before = looks  # one look may be under way, and the next has been sent once a third begins
        wait_until(lambda: looks >= before + 3, "a stream to look")

    return wait


def test_a_stream_follows_the_job_to_its_end(http: TestClient, lite: Store, look: Callable[[], None]) -> None:
    job_id, uid = add_job(lite)

    def live() -> None:
        look()
        for cohort_id in add_round(lite, job_id):
            claimed = must_claim(lite, cohort_id)
            look()
            finish(lite, claimed)
            look()
        conclude(lite, job_id)

    life = threading.Thread(target=live)
    life.start()
    sent = follow(http, uid)
    life.join()
    jobs = [job for kind, _, job in sent if kind == "job"]
    revisions = [job["revision"] for job in jobs]
    assert revisions == sorted(set(revisions))
    assert len(jobs) >= 4
    assert jobs[0]["state"] != jobs[-1]["state"] == "succeeded"
    assert sent[-1][0] == "job"
    last = {trial["id"]: trial["state"] for kind, _, trial in sent if kind == "trial"}
    assert sorted(last.values()) == ["complete"] * 4
    assert "running" in {trial["state"] for kind, _, trial in sent if kind == "trial"}


def test_a_stream_resumes_after_the_last_event(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    whole = follow(http, uid)
    final = whole[-1][1]
    assert final is not None
    second = max(trial["revision"] for kind, _, trial in whole if kind == "trial")
    resumed = follow(http, uid, second - 1)
    assert [kind for kind, _, _ in resumed] == ["trial", "trial", "job"], "only the last cohort's"
    assert [kind for kind, _, _ in follow(http, uid, final)] == ["job"], "the end is always told"
    assert follow(http, uid, final + 1000) == whole, "a revision from the future begins again"
    assert follow(http, uid, 0) == whole


@pytest.mark.parametrize("query", ["", "?curves=0", "?curves=1", "?curves=true"])
def test_curves_come_only_to_who_asks_for_them(http: TestClient, lite: Store, query: str) -> None:
    job_id, uid = motley_job(lite)
    with lite.transaction() as tx:
        tx.jobs.fail(job_id, code="test", detail="ends the job")
    events = parse(http.get(f"/v1/jobs/{uid}/events{query}").text)
    sent = [trial for kind, _, trial in events if kind == "trial"]
    listed = http.get(f"/v1/jobs/{uid}/trials").json()["items"]
    points = [[1, 50, 0.9], [2, 100, 0.4]]
    assert [trial["curve"] for trial in listed] == [points, points[:1], [], points[:1], []]
    asked = query in ("?curves=1", "?curves=true")
    assert sent == [trial if asked else {**trial, "curve": None} for trial in listed]


def test_curves_that_nobody_asks_for_are_not_read(http: TestClient, lite: Store) -> None:
    """Who reads them finds that they are none."""
    job_id, uid = concluded_job(lite)
    with lite.transaction() as tx:
        broken = {"metrics": {"validation": {"nll": 0.5}}, "curves": {"validation.nll": [["no point"]]}}
        tx.connection.execute(trial.update().values(result=broken))
    sent = [data for kind, _, data in follow(http, uid) if kind == "trial"]
    assert [each["metrics"] for each in sent] == [broken["metrics"]] * 4
    with lite.read() as tx:
        page = tx.views.trials(job_id, limit=10)
    assert (page.items, len(page.unreadable)) == ([], 4)


def test_a_stream_without_curves_is_a_fraction_of_one_with_them(http: TestClient, lite: Store) -> None:
    _, uid = large_job(lite, trials=120)
    without = http.get(f"/v1/jobs/{uid}/events").content
    whole = http.get(f"/v1/jobs/{uid}/events?curves=1").content
    assert without.count(b"event: trial") == whole.count(b"event: trial") == 120
    points = 120 * 20
    assert len(whole) - len(without) > points * len("[1,50,0.1]")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, " "])
def test_a_malformed_last_event_id(http: TestClient, lite: Store, last: str) -> None:
    _, uid = add_job(lite)
    answer = http.get(f"/v1/jobs/{uid}/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
    assert answer.json()["errors"][0]["field"] == "last-event-id"


def test_many_trials_come_in_pieces(http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whichopt.service.routes.events.TRIALS_AT_ONCE", 2)
    _, uid = motley_job(lite)
    http.post(f"/v1/jobs/{uid}/cancel")
    with lite.transaction() as tx:
        job_id = tx.jobs.id_of(uid)
        assert job_id is not None
        tx.jobs.fail(job_id, code="test", detail="ends the job")
    events = follow(http, uid)
    assert [trial["number"] for kind, _, trial in events if kind == "trial"] == [0, 1, 2, 3, 4]


def test_a_silent_stream_keeps_a_heartbeat(
    http: TestClient,
    settings: Settings,
    lite: Store,
    look: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", settings.events_s / 10)
    _, uid = add_job(lite)

    def end() -> None:
        look()  # so the stream was silent for twice the time between two looks at least
        http.post(f"/v1/jobs/{uid}/cancel")

    ending = threading.Thread(target=end)
    ending.start()
    answer = http.get(f"/v1/jobs/{uid}/events")
    ending.join()
    assert ": ping" in answer.text
    assert parse(answer.text)[-1][2]["state"] == "cancelled"


def test_streams_do_not_hold_up_other_requests(http: TestClient, lite: Store) -> None:
    """More streams than there are threads for requests."""
    _, uid = add_job(lite)
    threads = [threading.Thread(target=follow, args=(http, uid)) for _ in range(60)]
    for thread in threads:
        thread.start()
    assert http.get("/v1/optimizers").status_code == 200
    assert all(thread.is_alive() for thread in threads), "it was answered while all of them go on"
    http.post(f"/v1/jobs/{uid}/cancel")
    for thread in threads:
        thread.join(timeout=DEADLINE_S)
        assert not thread.is_alive()


def test_a_stream_ends_where_the_database_is_lost(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    _, uid = motley_job(lite)

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(ViewReader, "trials", fail)
    assert http.get(f"/v1/jobs/{uid}/events").text == ""
