"""The browser in which the pages are tried and photographed: which one it is, and how to get it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VARIABLE = "CHROMIUM"
"""Names the browser's program, if none on PATH is to be taken."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

NO_BROWSER = "there is no browser"
"""The reason for which a test is skipped that needs one."""

HOW_TO_GET = f"Install Chromium (Debian: apt-get install chromium), or name its program in {VARIABLE}."

QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""What a browser asks for on its own is no request of a page."""


def chromium() -> str | None:
    """Return the program of the browser; None if there is none."""
    if named := os.environ.get(VARIABLE):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def started(program: str) -> Iterator[Browser]:
    """Start the browser without a window, and with a profile of its own, for the block.

    While it runs, this thread can start no loop of asyncio: Playwright has one.
    """
    from playwright.sync_api import sync_playwright

    # Its sandbox refuses to work for root.
    sandbox = () if os.geteuid() else ("--no-sandbox",)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*QUIET, *sandbox])
        try:
            yield browser
        finally:
            browser.close()
