"""The live page: what has changed is sent, to all viewers the same, from where they were, until the end."""

from __future__ import annotations

import random
import re
import threading
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.builders import races
from tests.builders.concluded_jobs import conclude, concluded_job
from tests.builders.jobs import add_job, add_round, beat, finish, must_claim, planning
from tests.builders.waiting import DEADLINE_S, wait_until
from whichopt.service.db import Store
from whichopt.service.pages.job.live import Drawing, Live, Stamp, stamp_of
from whichopt.service.pages.job.watch import Watch, Watches


def drawn(revision: int, *, ended: bool = False, kind: str = "search", **named: str) -> Drawing:
    """A page; `lane_0` is the part `lane-0`."""
    parts = {name.replace("_", "-"): html for name, html in named.items()}
    order = tuple(sorted(name for name in parts if name.startswith("lane")))
    return Drawing(
        revision,
        kind,
        "a job",
        None,
        ended,
        "".join(parts.values()),
        parts,
        {"lanes": order} if order else {},
    )


def sent(live: Live, known: Stamp | None) -> list[str]:
    news = live.since(known)
    return [] if news is None else re.findall(r'hx-target="#([^"]+)"', news.html)


def test_only_what_has_changed_is_sent() -> None:
    live = Live(drawn(4, head="a", note="b"))
    assert live.since(Stamp(4)) is None
    live = Live(drawn(5, head="a", note="b"), live)
    assert live.since(Stamp(4)) is None
    live = Live(drawn(6, head="a", note="c"), live)
    assert sent(live, Stamp(4)) == ["note"]
    live = Live(drawn(7, head="x", note="c"), live)
    assert sent(live, Stamp(4)) == ["head", "note"]
    assert sent(live, Stamp(6)) == ["head"]
    assert sent(live, Stamp(7)) == []


def test_who_is_not_known_is_sent_all() -> None:
    live = Live(drawn(4, head="a"))
    live = Live(drawn(6, head="b"), live)
    for known in (None, Stamp(3), Stamp(7), Stamp(6, 1)):
        assert sent(live, known) == ["job"]


def test_what_changes_without_the_job_has_a_stamp_of_its_own() -> None:
    live = Live(drawn(4, head="a"))
    live = Live(drawn(4, head="b"), live)
    assert str(live.stamp) == "4.1"
    assert sent(live, Stamp(4)) == ["head"]
    assert stamp_of("4.1") == live.stamp
    assert stamp_of("12") == Stamp(12)
    assert stamp_of("") is None


def test_lanes_that_change_places_are_sent_together() -> None:
    live = Live(drawn(1, lane_0="a", lane_1="b", head="h"))
    now = drawn(2, lane_0="a2", lane_1="b", head="h")
    live = Live(now, live)
    assert sent(live, Stamp(1)) == ["lane-0"]
    live = Live(
        Drawing(3, now.kind, "a job", None, False, "", now.parts, {"lanes": ("lane-1", "lane-0")}), live
    )
    news = live.since(Stamp(1))
    assert news is not None
    assert sent(live, Stamp(1)) == ["lanes"]
    assert ">ba2</hx-partial>" in news.html


def test_of_a_part_that_holds_others_only_what_moves_is_sent() -> None:
    def row(revision: int, drawing: str, count: str, order: tuple[str, ...] = ("row", "other")) -> Live:
        cells = {"drawing": f"<td>{drawing}</td>", "count": f"<td>{count}</td>"}
        parts = {"row": f"<tr>{''.join(cells.values())}</tr>", **cells, "other": "<tr></tr>"}
        holds = {"row": tuple(cells)}
        return Live(
            Drawing(revision, "search", "a job", None, False, "", parts, {"rows": order}, holds),
            None if revision == 1 else before,
        )

    before = row(1, "d", "1")
    before = row(2, "d", "2")
    assert sent(before, Stamp(1)) == ["count"]
    before = row(3, "e", "2")
    assert sent(before, Stamp(2)) == ["drawing"]
    assert sent(before, Stamp(1)) == ["drawing", "count"]
    before = row(4, "e", "3", ("other", "row"))
    assert sent(before, Stamp(1)) == ["rows"]
    news = before.since(Stamp(3))
    assert news is not None
    assert "<tr></tr><tr><td>e</td><td>3</td></tr>" in news.html


def test_another_act_is_sent_whole_and_the_end_is_told() -> None:
    live = Live(drawn(1, head="a"))
    live = Live(drawn(2, head="a", kind="confirm"), live)
    assert sent(live, Stamp(1)) == ["job"]
    live = Live(drawn(3, head="z", kind="confirm"), live)
    assert sent(live, Stamp(1)) == ["job"]
    assert sent(live, Stamp(2)) == ["head"]
    live = Live(drawn(4, head="z", kind="verdict", ended=True), live)
    news = live.since(Stamp(3))
    assert news is not None
    assert news.ended
    again = live.since(news.stamp)
    assert again is not None
    assert (again.html, again.ended) == ("", True)


def messages(text: str) -> list[dict[str, str]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        if "data" in fields:
            found.append(fields)
    return found


def targets(message: dict[str, str]) -> list[str]:
    return re.findall(r'hx-target="#([^"]+)"', message["data"])


@pytest.fixture
def following(http: TestClient) -> Any:
    """Follows a page in a thread until its stream ends."""

    class Following:
        def __init__(self, address: str, last: str | None = None) -> None:
            self.text = ""
            headers = {} if last is None else {"Last-Event-ID": last}
            self.thread = threading.Thread(target=self._read, args=(address, headers))
            self.thread.start()

        def _read(self, address: str, headers: dict[str, str]) -> None:
            answer = http.get(address, headers=headers)
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            self.text = answer.text

        def all(self) -> list[dict[str, str]]:
            self.thread.join(DEADLINE_S)
            assert not self.thread.is_alive()
            return messages(self.text)

    return Following


def stamp_in(page: str) -> str:
    found = re.search(r"live\?since=([0-9.]+)", page)
    assert found is not None
    return found.group(1)


def test_a_race_is_followed_to_its_verdict(
    http: TestClient, app: FastAPI, lite: Store, following: Any
) -> None:
    job_id, uid = add_job(lite)
    first, second = add_round(lite, job_id)
    known = stamp_in(http.get(f"/jobs/{uid}").text)
    viewers = [following(f"/jobs/{uid}/live?since={known}") for _ in range(2)]
    watches: Watches = app.state.watches
    (watch,) = watches._kept.values()
    wait_until(lambda: watch.viewers == 2, "two viewers")
    claimed = must_claim(lite, first)
    beat(lite, claimed)
    wait_until(lambda: watch.read().drawing.revision >= 4, "the first cohort is shown")
    # Of what a viewer may be sent now: what a claim changes, and no more.
    news = sent(watch.read(), stamp_of(known))
    assert {"head", "rail"} <= set(news)
    assert not {"job", "ledger"} & set(news)
    finish(lite, claimed)
    finish(lite, must_claim(lite, second))
    conclude(lite, job_id)
    one, other = (viewer.all() for viewer in viewers)
    assert one[-1]["event"] == other[-1]["event"] == "ended"
    assert "No clear winner." in one[-2]["data"]
    assert targets(one[-2])[0] == "job"
    ids = [message["id"] for message in one if "id" in message]
    assert ids == sorted(ids, key=lambda text: stamp_of(text) or Stamp(0))
    wait_until(lambda: watch.viewers == 0, "the viewers have left")


def test_who_comes_back_is_sent_what_was_missed(
    http: TestClient, app: FastAPI, lite: Store, following: Any
) -> None:
    job_id, uid = add_job(lite)
    first, second = add_round(lite, job_id)
    known = stamp_in(http.get(f"/jobs/{uid}").text)
    (watch,) = app.state.watches._kept.values()
    finish(lite, must_claim(lite, first))
    later = stamp_in(http.get(f"/jobs/{uid}").text)
    finish(lite, must_claim(lite, second))
    live = watch.read()
    missed, less = sent(live, stamp_of(known)), sent(live, stamp_of(later))
    assert "head" in missed  # the job was queued when the connection was lost
    assert "head" not in less
    assert {"sentence", "rail", "ledger"} <= set(less) < set(missed)
    # By the header that a browser sends, and not by the address, which is as old as the page.
    with lite.transaction() as tx:
        tx.jobs.cancel(job_id)
    ended = str(watch.read().stamp)
    assert [message.get("event") for message in following(f"/jobs/{uid}/live?since={known}").all()] == [
        None,
        "ended",
    ]
    resumed = following(f"/jobs/{uid}/live?since={known}", last=ended).all()
    assert [message.get("event") for message in resumed] == ["ended"]


def test_a_job_that_has_ended_is_not_followed(http: TestClient, lite: Store, following: Any) -> None:
    _, uid = concluded_job(lite)
    assert "hx-sse:connect" not in http.get(f"/jobs/{uid}").text
    told = following(f"/jobs/{uid}/live").all()
    assert [message.get("event") for message in told] == [None, "ended"]


def test_one_reader_serves_all_viewers(http: TestClient, app: FastAPI, lite: Store) -> None:
    """Pages and streams of one act share one drawing: what has not moved is not drawn again."""
    _, uid = races.racing_job(lite, done=20, running=4)
    http.get(f"/jobs/{uid}")
    (watch,) = app.state.watches._kept.values()
    before = watch._live.drawing
    http.get(f"/jobs/{uid}")
    assert watch._live.drawing is before


def test_a_drawing_that_stays_is_not_sent_again(http: TestClient, app: FastAPI, lite: Store) -> None:
    """One result more than hundreds changes a lane's count; a trial in training has marks of its own."""
    job_id, uid = races.racing_job(lite, optimizers=["adam"], trials=300, done=250, running=0, replicates=1)
    http.get(f"/jobs/{uid}")
    (watch,) = app.state.watches._kept.values()
    planned = planning(lite, job_id)
    assert planned is not None
    plan = races.race_plans(planned.spec, 251, random.Random(1))[250]
    with lite.transaction() as tx:
        ids = tx.jobs.add_round(
            planned, [[plan]], spec=planned.spec.with_executor("stacked"), cut_short=False
        )
    assert ids is not None
    known = watch.read().stamp
    claimed = must_claim(lite, ids[0])
    beat(lite, claimed)
    live = watch.read()
    assert {"lane-0-running", "lane-0-done"} <= set(sent(live, known))
    assert not {"lane-0", "lane-0-drawing", "lanes"} & set(sent(live, known))
    known = live.stamp
    finish(lite, claimed)  # with a value that is not the best
    assert {"lane-0-running", "lane-0-done"} <= set(sent(watch.read(), known))
    assert "lane-0-drawing" not in sent(watch.read(), known)


def test_what_is_no_job_is_not_followed(http: TestClient) -> None:
    assert http.get("/jobs/nothing/live").status_code == 404
    assert http.get("/jobs/nothing/live?since=x").status_code == 422


def test_pages_that_nobody_follows_make_room() -> None:
    kept = Watches(most=2)
    made = {key: kept.of((key,), lambda: Watch(Any, "", Any, alive_s=1)) for key in "ab"}  # type: ignore[arg-type]
    made["a"].viewers = 1
    kept.of(("c",), lambda: Watch(Any, "", Any, alive_s=1))  # type: ignore[arg-type]
    assert [key for (key,) in kept._kept] == ["a", "c"]
    assert kept.of(("a",), lambda: made["b"]) is made["a"]
