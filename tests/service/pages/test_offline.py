"""Every page works without any network but ours: what it loads is of the same origin, and is there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from whichopt.service.db import Store

ORIGIN = "http://testserver"
PAGES = ("/", "/docs", "/dashboard")
ADDRESS = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class References(HTMLParser):
    """Collects every address in a page: `loaded` by itself, or `linked` for a reader to follow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.inline = ""
        self._within: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "poster", "data") and value:
                (self.linked if tag == "a" else self.loaded).append(value)
            elif name == "style":
                self.loaded += addresses(value or "")

    def handle_data(self, data: str) -> None:
        if self._within == "style":
            self.loaded += addresses(data)
        elif self._within == "script":
            self.inline += data

    def handle_endtag(self, _tag: str) -> None:
        self._within = None


def addresses(css: str) -> list[str]:
    return [first or second for first, second in ADDRESS.findall(css)]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_refers_only_to_this_service(http: TestClient, lite: Store, path: str) -> None:
    concluded_job(lite)
    answer = http.get(path, follow_redirects=True)
    assert answer.status_code == 200
    found = References(answer.text)
    assert found.loaded or path == "/dashboard"
    at = [urljoin(f"{ORIGIN}{path}", each) for each in found.loaded if not each.startswith("data:")]
    for address in at:
        assert address.startswith(f"{ORIGIN}/"), f"{path} loads {address}"
        asset = http.get(address.removeprefix(ORIGIN))
        assert asset.status_code == 200, address
        if "css" in asset.headers["content-type"]:
            deeper = [each for each in addresses(asset.text) if not each.startswith("data:")]
            assert deeper == [], f"{address} loads {deeper}"
    for each in found.linked:
        assert urljoin(f"{ORIGIN}{path}", each).startswith(f"{ORIGIN}/"), f"{path} leads to {each}"


def test_the_description_is_shown_by_our_own_files(http: TestClient) -> None:
    page = http.get("/docs")
    found = References(page.text)
    assert found.inline.strip() == "", "the policy allows no script in the page"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    start = http.get("/assets/docs.js").text
    assert http.get("/openapi.json").status_code == 200
    assert 'url: "openapi.json"' in start, "beside the page"
    assert "validatorUrl: null" in start, "else Swagger UI sends the description to a service on the internet"
    assert http.get("/redoc").status_code == 404


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"])
def test_the_licenses_of_what_is_not_ours_come_along(http: TestClient, name: str) -> None:
    assert http.get(f"/assets/vendor/swagger-ui/{name}").status_code == 200


def test_answers_of_some_size_are_compressed(http: TestClient) -> None:
    for path in ("/v1/optimizers", "/assets/vendor/swagger-ui/swagger-ui.css", "/openapi.json"):
        plain = http.get(path, headers={"Accept-Encoding": "identity"})
        packed = http.get(path, headers={"Accept-Encoding": "gzip"})
        refused = http.get(path, headers={"Accept-Encoding": "gzip;q=0"})
        assert packed.headers["Content-Encoding"] == "gzip", path
        assert packed.content == plain.content
        for answer in (plain, refused):
            assert "Content-Encoding" not in answer.headers
        assert "Accept-Encoding" in packed.headers["Vary"]
    small = http.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers


def test_an_event_stream_is_not_compressed(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    answer = http.get(f"/v1/jobs/{uid}/events", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert "Content-Encoding" not in answer.headers, "its reader would wait for a full block"
