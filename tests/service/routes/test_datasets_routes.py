"""Datasets that people send: what is taken, what is refused, and that nothing of a refusal stays.

The reader is that of `tests.builders.simple_reader`, a process of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import BODY
from tests.builders.datasets import READER, add_dataset, states
from tests.builders.services import KEY, Recorder
from tests.builders.serving import served
from tests.builders.waiting import wait_until
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.intake import LOCK
from whichopt.service.receiving import PIECE
from whichopt.service.routes import datasets as routes
from whichopt.service.settings import Settings
from whichopt.service.states import DatasetState

ROWS = b"a,b,y\n" + b"".join(b"%d,1,2\n" % n for n in range(200))
CSV = {"Content-Type": "text/csv"}


def send(http: TestClient, body: bytes = ROWS, *, headers: Any = CSV, **query: Any) -> Any:
    return http.post("/v1/datasets", params={"name": "mine", **query}, content=body, headers=headers)


def kept(settings: Settings) -> set[str]:
    """The names of the files in the blob folder."""
    found = settings.blobs.iterdir() if settings.blobs.is_dir() else iter(())
    return {file.name for file in found} - {LOCK}


def job_with(name: str) -> dict[str, Any]:
    return {**BODY, "workload": {"dataset": name, "model": "linear"}}


# -- what is taken ------------------------------------------------------------------------------------------


def test_a_file_becomes_a_dataset_that_jobs_use(
    http: TestClient, settings: Settings, dispatcher: Recorder
) -> None:
    answer = send(http, target="y", file="mine.csv")
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == "/v1/datasets/mine"
    view = answer.json()
    assert view["state"] == "ready"
    assert view["file"] == {
        "name": "mine.csv",
        "bytes": len(ROWS),
        "sha256": hashlib.sha256(ROWS).hexdigest(),
    }
    assert view["table"]["rows"] == 200
    assert [column["name"] for column in view["table"]["columns"]] == ["a", "b", "y"]
    assert kept(settings) == {view["content"]}
    assert http.get("/v1/datasets/mine").json() == view
    job = http.post("/v1/jobs", json=job_with("mine"))
    assert job.status_code == 202, job.text
    workload = job.json()["spec"]["workload"]
    assert (workload["content"], workload["sizes"]["test"]) == (view["content"], 40)
    assert workload["upload"]["target"] == "y"
    assert len(dispatcher.planned) == 1
    assert http.post("/v1/lint", json=job_with("mine")).status_code == 200


def test_the_same_file_is_not_read_again(http: TestClient, settings: Settings) -> None:
    first = send(http)
    again = send(http)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    other = send(http, target="z")
    assert other.status_code == 409
    assert other.json()["code"] == "dataset_exists"
    assert (
        "this file was sent as 'mine' with other choices (target was not said); choose"
        in other.json()["detail"]
    )
    assert send(http, ROWS + b"1,2,3\n").status_code == 409
    second = send(http, name="second")
    assert second.status_code == 201
    assert kept(settings) == {first.json()["content"]}, "two uploads of one content are one blob"


def test_a_preview_is_kept_without_sending_it_again(http: TestClient) -> None:
    view = send(http, dry_run=1).json()
    assert view["state"] == "preview"
    assert view["expires_at"] > view["created_at"]
    refused = http.post("/v1/jobs", json=job_with("mine"))
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_not_ready")
    assert "preview" in refused.json()["detail"]
    answer = http.post("/v1/datasets/mine")
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["expires_at"]) == ("ready", None)
    assert http.post("/v1/jobs", json=job_with("mine")).status_code == 202


def test_a_preview_is_replaced_or_made_real_by_sending(http: TestClient) -> None:
    assert send(http, dry_run=1).status_code == 201
    assert send(http, target="z", dry_run=1).status_code == 201
    real = send(http, target="z")
    assert (real.status_code, real.json()["state"]) == (200, "ready")


def test_a_file_that_takes_long_is_polled(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ANSWER_S", 0.05)
    answer = send(http, b"slow 60\n")
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "2")
    assert answer.json()["state"] == "reading"
    assert send(http, b"slow 60\n").status_code == 202
    busy = http.post("/v1/jobs", json=job_with("mine"))
    assert busy.json()["code"] == "dataset_not_ready"
    assert http.delete("/v1/datasets/mine").status_code == 204
    assert states(lite) == {}


def test_the_list_has_both_kinds(http: TestClient, lite: Store) -> None:
    send(http)
    add_dataset(lite, "broken", state=DatasetState.READING)
    items = {item["name"]: item["details"] for item in http.get("/v1/datasets").json()["items"]}
    assert {"digits", "wine", "mine", "broken"} <= items.keys()
    assert (items["wine"]["uploaded"], items["mine"]["uploaded"]) == (False, True)
    assert (items["mine"]["features"], items["mine"]["splits"]["test"]) == (2, 40)
    assert (items["broken"]["state"], items["mine"]["state"]) == ("reading", "ready")
    first = http.get("/v1/datasets", params={"limit": 1}).json()
    second = http.get("/v1/datasets", params={"limit": 1, "cursor": first["cursor"]}).json()
    assert [item["name"] for item in second["items"]] == ["mine"]


# -- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "code", "said"),
    [
        ({"name": "wine"}, 409, "dataset_exists", "comes with whichopt"),
        ({"name": "../x"}, 422, "invalid_query", "pattern"),
        ({"split": "sometimes"}, 422, "invalid_query", "split: 'sometimes' is no rule; write 'random', "),
        ({"split": "group:"}, 422, "invalid_query", "group:NAME"),
        ({"columns": "{"}, 422, "invalid_query", "not JSON"),
        (
            {"columns": '{"a": "cat"}'},
            422,
            "invalid_query",
            "columns.a: 'cat' is no kind of column; did you mean 'category'",
        ),
        ({"columns": '{"a": "colour"}'}, 422, "invalid_query", "bool, date, text, id, leave_out"),
        ({"columns": '["a"]'}, 422, "invalid_query", "columns: Input should be a valid dictionary"),
        ({"headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type", "text/csv"),
        (
            {"headers": {"Content-Type": "application/x-npz"}, "task": "language"},
            415,
            "unsupported_media_type",
            "send the text as text/plain",
        ),
        ({"headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 415, "unsupported_media_type", ""),
        ({"headers": {**CSV, "Content-Encoding": "br"}}, 415, "unsupported_media_type", "gzip"),
        ({"body": b""}, 422, "unreadable_dataset", "the body is empty"),
        ({"body": b"", "file": "mine.csv"}, 422, "unreadable_dataset", "'mine.csv' is empty"),
        ({"body": b"bad\n"}, 422, "unreadable_dataset", "row 3"),
        ({"body": b"killed\n"}, 413, "dataset_too_large", "SIGKILL"),
        ({"body": b"memory\n"}, 413, "dataset_too_large", "memory"),
        ({"body": b"broken\n"}, 500, "internal", "status 1"),
        ({"body": b"flood\n"}, 500, "internal", "too long"),
        ({"body": b"nonsense\n"}, 500, "internal", "understood"),
        ({"body": b"wrong-hash\n"}, 500, "internal", "hash"),
        ({"body": b"contradiction\n"}, 500, "internal", "contradict"),
        ({"body": b"elsewhere ../../secret\n"}, 500, "internal", "understood"),
    ],
    ids=str,
)
def test_a_refusal_says_why_and_leaves_nothing(
    http: TestClient,
    lite: Store,
    settings: Settings,
    changes: dict[str, Any],
    status: int,
    code: str,
    said: str,
) -> None:
    answer = send(http, **changes)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code
    assert said in answer.json()["detail"]
    assert states(lite) == {}
    assert kept(settings) == set()


def test_a_bad_row_is_named(http: TestClient) -> None:
    (error,) = send(http, b"bad\n").json()["errors"]
    assert (error["field"], error["value"]) == ("b", 3)


def test_the_reader_is_given_nothing_secret(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_API_KEY", "wo_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    names = send(http, b"environment\n").json()["detail"].split()
    assert "ARROW_DEFAULT_MEMORY_POOL" in names
    assert not [name for name in names if "SECRET" in name or "WHICHOPT" in name]


def test_a_file_that_is_too_large_is_refused_while_it_comes(
    lite: Store, dispatcher: Recorder, tmp_path: Path
) -> None:
    settings = Settings(max_upload_bytes=1000, reap_s=600, blobs=tmp_path / "blobs")
    with small(settings, lite, dispatcher) as http:
        declared = send(http, b"x" * 1001)
        assert (declared.status_code, declared.json()["code"]) == (413, "dataset_too_large")
        unknown = http.post("/v1/datasets?name=mine", content=iter([b"x" * 600] * 2), headers=CSV)
        assert (unknown.status_code, unknown.json()["code"]) == (413, "dataset_too_large")
    assert kept(settings) == set()


def test_all_uploads_together_have_a_limit(lite: Store, dispatcher: Recorder, tmp_path: Path) -> None:
    settings = Settings(uploads_bytes=1500, reap_s=600, blobs=tmp_path / "blobs")
    with small(settings, lite, dispatcher) as http:
        assert send(http, ROWS[:700]).status_code == 201
        refused = send(http, ROWS[:900], name="second")
        assert (refused.status_code, refused.json()["code"]) == (413, "dataset_too_large")
        assert "WHICHOPT_UPLOADS_BYTES" in refused.json()["detail"]
        assert send(http, ROWS[:700], name="second").status_code == 201, "the same blob takes no room"


def test_the_limit_of_all_uploads_holds_for_those_that_come_at_once(
    lite: Store, dispatcher: Recorder, tmp_path: Path
) -> None:
    """Each of two files alone has room; while both are on their way, one of them has not."""
    settings = Settings(uploads_bytes=6 * PIECE, reap_s=600, blobs=tmp_path / "blobs")
    half_way = threading.Barrier(2, timeout=60)

    def body(mark: bytes) -> Iterator[bytes]:
        yield b"a,b,y\n" + mark * PIECE + b"\n" + mark * PIECE + b"\n"
        half_way.wait()
        yield mark * 2 * PIECE

    with served(create_app(settings, lite, dispatcher, reader=READER)) as url, ThreadPoolExecutor(2) as pool:

        def sent(mark: bytes) -> int:
            where = f"{url}/v1/datasets?name={mark.decode()}"
            headers = {**CSV, "X-API-Key": KEY}
            return httpx.post(
                where, content=body(mark), headers=headers, timeout=60, trust_env=False
            ).status_code

        answers = sorted(pool.map(sent, (b"p", b"q")))
        wait_until(lambda: "reading" not in states(lite).values(), "what came whole to be read")
    assert 413 in answers
    assert {*answers} <= {201, 413}
    assert len(states(lite)) == answers.count(201) == len(kept(settings))


def small(settings: Settings, store: Store, dispatcher: Recorder) -> TestClient:
    app = create_app(settings, store, dispatcher, reader=READER)
    return TestClient(app, headers={"X-API-Key": KEY})


# -- jobs ---------------------------------------------------------------------------------------------------


def test_a_dataset_stays_while_a_job_uses_it(http: TestClient) -> None:
    send(http)
    uid = http.post("/v1/jobs", json=job_with("mine")).json()["id"]
    refused = http.delete("/v1/datasets/mine")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_in_use")
    assert uid in refused.json()["detail"]
    http.post(f"/v1/jobs/{uid}/cancel")
    assert http.delete("/v1/datasets/mine").status_code == 204
    assert http.get("/v1/datasets/mine").status_code == 404
    assert http.get("/v1/recommendations", params={"dataset": "mine"}).status_code == 200


def test_unknown_names_are_told_the_nearest_of_all(http: TestClient) -> None:
    send(http)
    unknown = http.post("/v1/jobs", json=job_with("mime"))
    assert unknown.status_code == 422
    assert unknown.json()["errors"][0]["nearest"] == "mine"
    assert http.get("/v1/datasets/mime").json()["errors"][0]["nearest"] == "mine"
    assert http.get("/v1/recommendations", params={"dataset": "mime"}).status_code == 422


def test_what_is_built_in_stays(http: TestClient) -> None:
    for answer in (http.delete("/v1/datasets/wine"), http.post("/v1/datasets/wine")):
        assert answer.status_code == 409
        assert "comes with whichopt" in answer.json()["detail"]
    assert http.get("/v1/datasets/wine").json()["details"]["uploaded"] is False
