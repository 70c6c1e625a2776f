"""The watch finds what it is there for: a watch that sees nothing would let every page pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.browser.accessible import findings
from tests.browser.conftest import watched
from tests.browser.sizes import too_wide

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src * data:; connect-src 'self'"
PAGES = {
    "/fine": "<main><h1>Fine</h1></main>",
    "/inline": "<p style='color:red'>red</p>",
    "/script": "<script>1</script>",
    "/throws": "<script src=throws.js></script>",
    "/throws.js": "throw new Error('thrown')",
    "/elsewhere": "<img alt='' src='http://127.0.0.2:9/x.png'>",
    "/breaks": "<img alt='' src='broken'>",
    "/wide": "<main><h1>Wide</h1><div><table><tr><td><pre>" + 100 * "wide " + "</pre></table></div></main>",
    "/unlabeled": "<main><h1>Form</h1><input></main>",
}


class Bad(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path in PAGES
        self.send_response(200 if known else 500)
        self.send_header("Content-Type", "text/javascript" if self.path.endswith(".js") else "text/html")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        text = PAGES.get(self.path, "")
        frame = "<!doctype html><html lang=en><title>t</title><link rel=icon href=data:,>"
        self.wfile.write((text if self.path.endswith(".js") else frame + text).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bad)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_without_fault_passes(browser: Browser, origin: str) -> None:
    with watched(browser, origin) as (context, watch):
        page = context.new_page()
        page.goto(f"{origin}/fine")
        assert watch.requests == [f"{origin}/fine"]
        assert findings(page) == []
        assert too_wide(page) == []


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/inline", "content policy: style-src-attr refuses inline"),
        ("/script", "content policy: script-src-elem refuses inline"),
        ("/throws", "script error: .*thrown"),
        ("/elsewhere", "request to elsewhere: http://127.0.0.2:9/x.png"),
        ("/breaks", "answer 500: "),
    ],
)
def test_a_fault_fails_the_test(browser: Browser, origin: str, path: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault), watched(browser, origin) as (context, _):
        context.new_page().goto(f"{origin}{path}")


def test_what_a_test_provokes_passes_for_as_long_as_it_does(browser: Browser, origin: str) -> None:
    with watched(browser, origin) as (context, watch):
        page = context.new_page()
        with watch.trouble("broken"):
            page.goto(f"{origin}/breaks")
        assert watch.faults == []
        page.goto(f"{origin}/breaks")
        assert f"answer 500: {origin}/broken" in watch.faults
        watch.excuse("broken")


def test_a_page_that_is_too_wide_is_found_with_what_is_wide(browser: Browser, origin: str) -> None:
    with watched(browser, origin) as (context, _):
        page = context.new_page()
        page.set_viewport_size({"width": 360, "height": 800})
        page.goto(f"{origin}/wide")
        (line,) = too_wide(page)
        assert line.startswith("360 px:")
        assert "pre" in line


def test_what_axe_finds_is_told(browser: Browser, origin: str) -> None:
    with watched(browser, origin) as (context, _):
        page = context.new_page()
        page.goto(f"{origin}/unlabeled")
        (line,) = findings(page)
        assert line.startswith("critical label (1 times): <input>")
