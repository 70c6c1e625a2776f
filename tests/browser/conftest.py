"""A real browser for the tests of this folder, which watches what the pages do in it.

Playwright keeps a loop of asyncio in the thread that started it. So a browser lives no longer than the
tests of one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.watch import Watch
from tests.builders.chromium import NO_BROWSER, chromium, started
from tests.builders.waiting import DEADLINE_S

PATIENCE_MS = DEADLINE_S * 1000 / 5
"""For what a page shows by itself; generous, as reaching it says that it never comes."""

Opened = Callable[[str], tuple[Page, Watch]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip(NO_BROWSER)
    expect.set_options(timeout=PATIENCE_MS)
    with started(program) as browser:
        yield browser


@contextmanager
def watched(browser: Browser, origin: str) -> Iterator[tuple[BrowserContext, Watch]]:
    """A new profile; at its end the pages must have done nothing that they may not."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    watch = Watch(context, origin)
    try:
        yield context, watch
    finally:
        context.close()
    assert not watch.faults, "\n".join(watch.faults)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens a link in a new profile, and returns the page and what is seen of it."""
    with ExitStack() as profiles:

        def open_link(link: str) -> tuple[Page, Watch]:
            origin = "/".join(link.split("/")[:3])
            context, watch = profiles.enter_context(watched(browser, origin))
            page = context.new_page()
            page.goto(link)
            return page, watch

        yield open_link
