"""HEAD answers wherever GET does: the same status and headers, and no body."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job, motley_job
from tests.builders.services import KEY
from tests.service.routes.test_access import paths_of
from whichopt.service.db import Store

EVENTS, LIVE = "/v1/jobs/{}/events", "/jobs/{}/live"
MOVING = ("date", "content-length")
"""Headers that differ between two looks at /metrics, and at the form, which has a new key each time."""


def headers(answer: Any, *, but: tuple[str, ...] = ("date",)) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in but}


def test_every_route_answers_head_as_get(app: FastAPI, http: TestClient, lite: Store) -> None:
    _, uid = motley_job(lite)
    names = {"optimizers": "adamw", "models": "mlp", "datasets": "digits", "tasks": "classification"}
    paths = {path.replace("job_id", uid) for path in paths_of(app.router.routes)}
    for kind, name in names.items():
        paths = {path.replace(f"{kind}/name", f"{kind}/{name}") for path in paths}
    more = {"/assets/style.css", "/nothing", "/v1/jobs?limit=0", "/v1/jobs/"}
    assert {f"/v1/jobs/{uid}/trials", "/healthz", "/metrics", "/docs"} <= paths, "the walk sees all routes"
    streams = {EVENTS.format(uid), LIVE.format(uid)}
    assert streams <= paths
    for path in sorted((paths | more) - streams):
        get, head = http.get(path), http.head(path)
        assert head.status_code == get.status_code, path
        but = MOVING if path in ("/metrics", "/new") else ("date",)
        assert headers(head, but=but) == headers(get, but=but), path
        assert head.content == b"", path


@pytest.mark.parametrize("state", ["concluded", "running"])
def test_a_stream_is_its_headers(http: TestClient, lite: Store, state: str) -> None:
    """Also of a job that never ends here: nothing is left waiting for it."""
    _, uid = concluded_job(lite) if state == "concluded" else motley_job(lite)
    answer = http.head(EVENTS.format(uid))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["X-Accel-Buffering"] == "no", "nginx would hold events back"
    assert http.head(EVENTS.format("0" * 36)).status_code == 404


def test_head_needs_the_key_but_for_healthz(app: FastAPI) -> None:
    with TestClient(app) as anonymous:
        assert anonymous.head("/healthz").status_code == 200
        for path in ("/", "/readyz", "/metrics", "/v1/jobs", "/dashboard", "/nothing"):
            assert anonymous.head(path).status_code == 401, path


def test_what_only_writes_takes_no_head_and_what_reads_says_it_does(http: TestClient) -> None:
    assert http.head("/v1/lint").status_code == 405
    assert http.post("/healthz").headers["Allow"] == "GET, HEAD"
    assert http.get("/v1/lint").headers["Allow"] == "POST"


def test_the_description_has_no_head(app: FastAPI) -> None:
    assert all("head" not in methods for methods in app.openapi()["paths"].values())


def test_on_the_wire_nothing_follows_the_headers(url: str, lite: Store) -> None:
    """A second answer on the same connection begins where the first one's headers end."""
    _, uid = motley_job(lite)
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        file = connection.makefile("rb")
        for path, kind in (
            (EVENTS.format(uid), b"text/event-stream"),
            ("/v1/optimizers", b"application/json"),
        ) * 2:
            request = (
                f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {KEY}\r\nAccept-Encoding: gzip\r\n\r\n"
            )
            connection.sendall(request.encode())
            assert file.readline() == b"HTTP/1.1 200 OK\r\n"
            told = b"".join(iter(file.readline, b"\r\n"))
            assert kind in told
            if b"connection: close" in told.lower():
                assert file.read() == b""
                return
