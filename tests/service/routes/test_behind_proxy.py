"""Behind a reverse proxy: under a base path, and behind TLS that ends there, by a real uvicorn."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner

from tests.builders.concluded_jobs import BODY, concluded_job
from tests.builders.services import KEY, Recorder
from tests.builders.waiting import wait_until
from tests.service.pages.test_offline import References
from whichopt.service.app import create_app
from whichopt.service.cli import app as commands
from whichopt.service.client import Client, ProblemError
from whichopt.service.db import Store
from whichopt.service.routes import dashboard_moved
from whichopt.service.settings import Settings

BASE = "/tools/whichopt"
AUTHORIZED = {"X-API-Key": KEY}


@contextmanager
def serving(store: Store, settings: Settings, **options: Any) -> Iterator[str]:
    """The address of a uvicorn that serves the app with these options of its own."""
    app = create_app(settings, store, Recorder())
    config = uvicorn.Config(
        app, port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1, lifespan="off", **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server to listen")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def based(settings: Settings) -> Settings:
    return settings.model_copy(update={"base_path": BASE})


@pytest.mark.parametrize("said_by", ["setting", "root-path", "both"])
def test_under_a_base_path(lite: Store, settings: Settings, based: Settings, said_by: str) -> None:
    """Whether the proxy strips the path or passes it on; and asked without a proxy, as by a health check."""
    options = {} if said_by == "setting" else {"root_path": BASE}
    with (
        serving(lite, settings if said_by == "root-path" else based, **options) as url,
        httpx.Client(base_url=url, trust_env=False) as anonymous,
    ):
        for prefix in ("", BASE):
            assert anonymous.get(f"{prefix}/healthz").status_code == 200
            assert anonymous.head(f"{prefix}/healthz").status_code == 200
            assert anonymous.get(f"{prefix}/v1/jobs").status_code == 401
            link = anonymous.get(f"{prefix}/?key={KEY}")
            assert (link.status_code, link.headers["Location"]) == (303, f"{BASE}/")
            assert f"Path={BASE};" in link.headers["Set-Cookie"]
            anonymous.cookies.clear()
            turned = anonymous.get(f"{prefix}/v1/jobs/", headers=AUTHORIZED)
            assert (turned.status_code, turned.headers["Location"]) == (307, f"{BASE}/v1/jobs")
            assert (
                anonymous.get(f"{prefix}/assets", headers=AUTHORIZED).headers["Location"] == f"{BASE}/assets/"
            )
            made = anonymous.post(f"{prefix}/v1/jobs", json=BODY, headers=AUTHORIZED)
            assert made.headers["Location"] == f"{BASE}/v1/jobs/{made.json()['id']}"
            assert (
                anonymous.get(made.headers["Location"], headers=AUTHORIZED).json()["id"] == made.json()["id"]
            )
            described = anonymous.get(f"{prefix}/openapi.json", headers=AUTHORIZED).json()
            assert described["servers"] == [{"url": BASE}]
            absent = anonymous.get(f"{prefix}/nothing", headers=AUTHORIZED).json()
            assert absent["detail"] == f"there is nothing at {BASE}/nothing; see {BASE}/docs"
            absent = anonymous.get(f"{prefix}/assets/nothing", headers=AUTHORIZED).json()
            assert absent["detail"] == f"there is nothing at {BASE}/assets/nothing; see {BASE}/docs"
            for path, given in (
                ("/v1/jobs", {}),
                ("/v1/jobs", {"X-API-Key": "wo_unknown"}),
                ("/v1/jobs?key=x", {}),
            ):
                refused = anonymous.get(f"{prefix}{path}", headers=given)
                links = re.findall(r"[^ (]*\?key=", refused.json()["detail"])
                assert set(links) == {f"{BASE}/?key="}, "as the link is that the service printed"
            not_allowed = anonymous.delete(f"{prefix}/v1/jobs", headers=AUTHORIZED)
            assert not_allowed.headers["Allow"] == "GET, POST, HEAD"
        assert anonymous.get(BASE, headers=AUTHORIZED).status_code == 200
        assert anonymous.get(f"{BASE}x/healthz").status_code == 401, "another path"
        assert anonymous.get(f"{BASE}{BASE}/{BASE}/healthz").status_code == 401
        counted = anonymous.get("/metrics", headers=AUTHORIZED).text
        assert 'handler="/v1/jobs",method="POST"' in counted
        turned_paths = {f"{BASE}/v1/jobs/", f"{BASE}/assets"}
        assert set(re.findall(rf'handler="({BASE}[^"]*)"', counted)) == turned_paths


@pytest.mark.parametrize("page", ["/", "/docs", "/dashboard"])
def test_what_a_page_refers_to_is_below_the_base_path(lite: Store, based: Settings, page: str) -> None:
    concluded_job(lite)
    http = TestClient(create_app(based, lite, Recorder()), headers=AUTHORIZED)
    answer = http.get(f"{BASE}{page}")
    assert answer.status_code == 200
    found = References(answer.text)
    at = httpx.URL(f"http://proxy{BASE}{page}")
    for address in {*found.loaded, *found.linked}:
        path = at.join(address).raw_path.decode()
        assert path.startswith(f"{BASE}/"), f"{page} refers to {address}"
        if not path.endswith(("/events", "/report")):
            assert http.get(path).status_code == 200, path


def test_client_and_commands_below_a_base_path(lite: Store, based: Settings, tmp_path: Path) -> None:
    _, uid = concluded_job(lite)
    with serving(lite, based) as url:
        for end in ("", "/"):
            with Client(f"{url}{BASE}{end}", KEY) as client:
                assert client.wait(uid).id == uid
                assert [event.id for event in client.events(uid)][-1] == uid
                assert client.recommendation(uid).job_id == uid
                client.studies(uid, tmp_path / "studies.db")
        shown = CliRunner().invoke(commands, ["show", uid, "--url", f"{url}{BASE}", "--key", KEY])
    assert uid in shown.stdout


def test_the_dashboards_script_asks_below_the_base_path(
    lite: Store, settings: Settings, based: Settings
) -> None:
    plain = TestClient(create_app(settings, lite, Recorder()), headers=AUTHORIZED)
    http = TestClient(create_app(based, lite, Recorder()), headers=AUTHORIZED)
    before, after = plain.get("/static/bundle.js"), http.get("/static/bundle.js")
    assert after.text.replace(BASE, "") == before.text
    assert f'url_prefix:"{BASE}/dashboard"' in after.text
    beginnings = r"[`\"'](?:\$\{this\.baseURL\})?/(?:api|csv|static|dashboard)\b"
    assert re.search(beginnings, before.text)
    assert not re.search(beginnings, after.text), "a request outside of the base path"
    assert (
        http.get("/dashboard").headers["Content-Security-Policy"]
        == (plain.get("/dashboard").headers["Content-Security-Policy"])
    )
    again = http.get("/static/bundle.js", headers={"If-None-Match": after.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_dashboard_with_other_paths_is_refused(
    lite: Store, based: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(dashboard_moved.PLACES, dashboard_moved.PAGE, ('"/elsewhere/',))
    dashboard_moved._moved.cache_clear()
    app = create_app(based, lite, Recorder())
    answer = TestClient(app, headers=AUTHORIZED).get(f"{BASE}/dashboard")
    dashboard_moved._moved.cache_clear()
    assert answer.status_code == 503
    assert "cannot be shown under a base path" in answer.json()["detail"]


def test_the_cookie_of_the_longest_path_counts(lite: Store, based: Settings) -> None:
    """As browsers send it first; that of another service at / comes along."""
    app = create_app(based, lite, Recorder())
    http = TestClient(app)
    cookies = f"other=1; whichopt_key={KEY}; whichopt_key=wo_of-another-service"
    assert http.get(f"{BASE}/v1/jobs", headers={"Cookie": cookies}).status_code == 200


def test_the_servers_log_of_requests_has_no_key(
    lite: Store, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lite, settings, log_config=None) as url, httpx.Client(trust_env=False) as browser:
        logging.getLogger("uvicorn.access").setLevel("INFO")
        assert browser.get(f"{url}/?key={KEY}").status_code == 303
        assert browser.get(f"{url}/?key={KEY}x").status_code == 401
        browser.cookies.clear()
        assert browser.post(f"{url}/?key={KEY}").status_code == 401
        assert browser.get(f"{url}/v1/jobs?limit=3&key={KEY}&state=queued").status_code == 401
        assert browser.get(f"{url}/nothing?%6Bey={KEY}").status_code == 401
        assert browser.get(f"{url}/metrics?API_KEY={KEY}").status_code == 401
        assert browser.get(f"{url}/healthz?token={KEY}").status_code == 200
        found = browser.get(f"{url}/v1/jobs?limit=3&key={KEY}", headers=AUTHORIZED)
        assert found.status_code == 200, "what else is asked for is as it was"
    asked = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert [line.split('"')[1] for line in asked] == [
        "GET /?key=*** HTTP/1.1",
        "GET /?key=*** HTTP/1.1",
        "POST /?key=*** HTTP/1.1",
        "GET /v1/jobs?limit=3&key=***&state=queued HTTP/1.1",
        "GET /nothing?%6Bey=*** HTTP/1.1",
        "GET /metrics?API_KEY=*** HTTP/1.1",
        "GET /healthz?token=*** HTTP/1.1",
        "GET /v1/jobs?limit=3&key=*** HTTP/1.1",
    ]
    assert KEY not in caplog.text


# -- TLS that ends at the proxy ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "proto", "secure"),
    [
        ("127.0.0.1", "https", True),
        ("10.9.9.9,127.0.0.0/8", "https", True),
        ("*", "https", True),
        ("127.0.0.1", "http", False),
        ("10.9.9.9", "https", False),
    ],
)
def test_the_cookie_is_secure_if_a_trusted_proxy_says_https(
    lite: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, trusted: str, proto: str, secure: bool
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    assert Settings.from_environment().forwarded_allow_ips == trusted
    with serving(lite, settings) as url, httpx.Client(trust_env=False) as browser:
        forwarded = {"X-Forwarded-Proto": proto, "X-Forwarded-For": "203.0.113.7", "Host": "which.example"}
        with capture_logs() as logged:
            answer = browser.get(f"{url}/?key={KEY}", headers=forwarded)
        assert ("Secure" in answer.headers["Set-Cookie"]) is secure
        assert answer.headers["Location"] == "/", "right by whatever scheme and host the browser came"
        turned = browser.get(f"{url}/v1/jobs/", headers={**forwarded, **AUTHORIZED})
        assert turned.headers["Location"] == "/v1/jobs"
    told = [event for event in logged if event["event"] == "proxy_not_trusted"]
    assert bool(told) is (proto == "https" and not secure)
    for event in told:
        assert event["proxy"] == "127.0.0.1"
        assert "FORWARDED_ALLOW_IPS" in event["detail"]


def test_a_client_is_told_where_a_proxy_leads_it() -> None:
    def proxy(request: httpx.Request) -> httpx.Response:
        return httpx.Response(301, headers={"Location": f"https://which.example{request.url.path}"})

    with (
        Client("http://which.example/tools", KEY, transport=httpx.MockTransport(proxy)) as client,
        pytest.raises(ProblemError, match=r"redirects to https://which\.example/tools/v1/jobs"),
    ):
        client.jobs()


@pytest.mark.parametrize("address", ["http://[::1", "http://host:99999999", "nonsense", "ftp://host"])
def test_an_address_that_is_none_is_one_line(address: str) -> None:
    done = CliRunner().invoke(commands, ["show", "--url", address, "--key", KEY], catch_exceptions=False)
    (line,) = done.stderr.splitlines()
    assert done.exit_code == 2
    assert address in line
