"""The gate: no route answers without the key but /healthz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import BaseRoute

from tests.builders.concluded_jobs import BODY
from tests.builders.services import KEY
from whichopt.service.db import Store
from whichopt.service.routes.dashboard import PREFIXES


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, follow_redirects=False) as client:
        yield client


def paths_of(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from paths_of(inner.routes)
        else:
            path: str = route.path  # type: ignore[attr-defined]
            yield path.replace("{rest:path}", "x").replace("{", "").replace("}", "")


def refused(answer: Any) -> None:
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("ApiKey")
    assert "X-API-Key" in answer.json()["detail"]
    assert answer.json()["code"] == "unauthorized"


def test_every_route_but_healthz_needs_the_key(app: FastAPI, anonymous: TestClient) -> None:
    paths = sorted(paths_of(app.router.routes))
    expected = ("/v1/jobs", "/metrics", "/docs", "/openapi.json", "/", "/readyz", "/assets", "/favicon.ico")
    assert {*expected, *PREFIXES, "/v1/jobs/job_id/events"} <= set(paths), "the walk sees all routes"
    for path in [*paths, "/assets/style.css", "/nothing"]:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = anonymous.request(method, path)
            if path == "/healthz":
                assert answer.status_code in (200, 405), method
            elif method == "HEAD":
                assert answer.status_code == 401, path
            else:
                refused(answer)


@pytest.mark.parametrize("path", ["/healthz/", "//healthz", "/healthz/../v1/jobs", "/%68ealthz/x"])
def test_paths_like_healthz_are_not_open(anonymous: TestClient, path: str) -> None:
    refused(anonymous.get(f"http://testserver{path}"))


def test_a_wrong_key_is_refused_however_it_comes(anonymous: TestClient) -> None:
    for wrong in ("", "wo_wrong", KEY + " x", "ü" * 10):
        refused(anonymous.get("/v1/jobs", headers={b"X-API-Key": wrong.encode("latin-1")}))
    anonymous.cookies.set("whichopt_key", "wo_wrong")
    refused(anonymous.get("/v1/jobs"))
    refused(anonymous.get("/?key=wo_wrong"))
    refused(anonymous.get("/?key="))
    refused(anonymous.get("/v1/jobs?key=" + KEY))


def test_a_wrong_header_is_not_mended_by_a_cookie(anonymous: TestClient) -> None:
    anonymous.cookies.set("whichopt_key", KEY)
    assert anonymous.get("/v1/jobs").status_code == 200
    refused(anonymous.get("/v1/jobs", headers={"X-API-Key": "wo_wrong"}))


def test_the_page_link_leaves_a_cookie_and_a_clean_address(anonymous: TestClient) -> None:
    answer = anonymous.get(f"/?key={KEY}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie, "plain HTTP on this machine"
    assert anonymous.get("/").status_code == 200
    assert anonymous.get("/v1/jobs").status_code == 200
    secure = anonymous.get(f"https://testserver/?key={KEY}")
    assert "Secure" in secure.headers["Set-Cookie"]


def test_another_origins_page_cannot_use_the_cookie_to_write(anonymous: TestClient) -> None:
    anonymous.cookies.set("whichopt_key", KEY)
    for site in ("same-site", "cross-site"):
        refused(anonymous.post("/v1/jobs", json=BODY, headers={"Sec-Fetch-Site": site}))
    assert anonymous.post("/v1/jobs", json=BODY, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 202


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://lab:9999", "lab:8000", 401),
        ("http://lab", "lab:8000", 401),
        ("https://lab", "lab:80", 401),
        ("http://lab:8000", "lab:8000", 202),
        ("http://[fd00::1]:8000", "[fd00::1]:8000", 202),
        ("http://lab:8080", "127.0.0.1:8000", 202),  # a proxy that sends its own name on
        ("http://lab:8080", "lab", 202),  # and one that leaves the port out
        ("null", "lab:8000", 202),
        ("http://lab:port", "lab:8000", 202),
    ],
)
def test_over_plain_http_another_port_is_another_origin(
    anonymous: TestClient, origin: str, host: str, status: int
) -> None:
    headers = {"Origin": origin, "Host": host, "Cookie": f"whichopt_key={KEY}"}
    assert anonymous.post("/v1/jobs", json=BODY, headers=headers).status_code == status
    with_key = {"Origin": origin, "Host": host, "X-API-Key": KEY}
    assert anonymous.post("/v1/jobs", json=BODY, headers=with_key).status_code == 202


def test_jobs_know_the_key_that_made_them(http: TestClient, lite: Store) -> None:
    http.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "mine"})
    with lite.read() as tx:
        key_id = tx.keys.find(KEY)
        assert tx.jobs.by_idempotency(key_id, "mine") is not None


def test_a_websocket_is_refused(http: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), http.websocket_connect("/dashboard"):
        pass
