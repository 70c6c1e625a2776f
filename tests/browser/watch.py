"""What a browser saw that a page of ours must never do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

HARMLESS = ("data:", "blob:", "about:")
"""Addresses for which nothing is sent."""

TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => tellViolation(
    `${event.effectiveDirective} refuses ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber} ` +
    `on ${location.pathname}`));
"""


class Watch:
    """The faults of all pages of a context: errors, warnings, broken policies, and requests to elsewhere."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        """Begin to watch; `origin` is the only place that may be asked."""
        self.origin = origin
        self.requests: list[str] = []
        self._faults: list[str] = []
        self._excused: list[re.Pattern[str]] = []
        context.expose_binding("tellViolation", self._violation)
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)

    @property
    def faults(self) -> list[str]:
        """What was seen and is not excused, each once."""
        found = dict.fromkeys(self._faults)
        return [fault for fault in found if not any(one.search(fault) for one in self._excused)]

    def excuse(self, pattern: str) -> None:
        """Let pass, for good, what a test provokes: faults in which the pattern is found."""
        self._excused.append(re.compile(pattern))

    @contextmanager
    def trouble(self, pattern: str) -> Iterator[None]:
        """Let pass what matches during the block alone; whatever was seen before stands."""
        before = len(self._faults)
        try:
            yield
        finally:
            seen = self._faults[before:]
            self._faults[before:] = [fault for fault in seen if not re.search(pattern, fault)]

    def _violation(self, _source: Any, words: str) -> None:
        self._faults.append(f"content policy: {words}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            place = message.location.get("url", "")
            self._faults.append(f"console {message.type}: {message.text} ({place})")

    def _error(self, error: WebError) -> None:
        self._faults.append(f"script error: {error.error}")

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((f"{self.origin}/", *HARMLESS)):
            self._faults.append(f"request to elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self._faults.append(f"answer {response.status}: {response.url}")
