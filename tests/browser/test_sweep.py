"""Every page of ours in a real browser, in every state, at every width, light and dark.

Nothing is wider than its window, axe-core finds nothing, the content policy is kept, no request leaves the
service, and every figure is drawn.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessible import Rules, findings
from tests.browser.conftest import watched
from tests.browser.sizes import WIDTHS, resize, too_wide
from tests.browser.watch import Watch
from tests.builders.datasets import READER
from tests.builders.every_state import EveryState, every_state
from tests.builders.services import KEY, Recorder
from tests.builders.serving import served
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key, upgrade
from whichopt.service.routes.sent_key import COOKIE
from whichopt.service.settings import Settings

pytestmark = pytest.mark.sweep

PAGES = {
    "home": "/",
    "home: running": "/?show=running",
    "home: one is searched for": "/?q=digits",
    "home: nothing is found": "/?q=nothing-has-this-name",
    "new": "/new",
    "new: an optimizer": "/new?optimizer=lamb",
    "new: a dataset": "/new?dataset=penguins",
    "new: again": "/new?from={winner}",
    "new: today": "/new?from={today}",
    "new: batches": "/new?from={growing}",
    "queued": "/jobs/{queued}",
    "search: 4 trials": "/jobs/{first}",
    "search": "/jobs/{search}",
    "search: higher is better": "/jobs/{accuracy}",
    "search: 5,000 trials": "/jobs/{large}",
    "search: pruned and diverged": "/jobs/{motley}",
    "confirm": "/jobs/{confirm}",
    "confirm: today": "/jobs/{confirm_today}",
    "confirm: search again": "/jobs/{confirm}?act=search",
    "winner": "/jobs/{winner}",
    "winner: confirm again": "/jobs/{winner}?act=confirm",
    "winner: search again": "/jobs/{winner}?act=search",
    "tie": "/jobs/{tie}",
    "what it makes: points": "/jobs/{points}",
    "what it makes: images": "/jobs/{images}",
    "what it makes: text": "/jobs/{text}",
    "batches that grow": "/jobs/{growing}",
    "today": "/jobs/{today}",
    "margin": "/jobs/{margin}",
    "one optimizer": "/jobs/{alone}",
    "twelve optimizers": "/jobs/{many}",
    "nothing": "/jobs/{nothing}",
    "failed": "/jobs/{failed}",
    "cancelled": "/jobs/{cancelled}",
    "compare two": "/compare?job={winner}&job={tie}",
    "compare four": "/compare?job={winner}&job={many}&job={margin}&job={nothing}",
    "compare: with whom": "/compare?job={winner}",
    "catalog": "/catalog",
    "catalog: datasets": "/catalog?show=datasets",
    "catalog: models": "/catalog?show=models",
    "catalog: tasks": "/catalog?show=tasks",
    "optimizer": "/catalog/optimizers/adabelief",
    "model": "/catalog/models/mlp",
    "task": "/catalog/tasks/classification",
    "catalog dataset": "/catalog/datasets/digits",
    "datasets": "/datasets",
    "dataset": "/datasets/penguins",
    "dataset: broken": "/datasets/broken",
    "dataset: a long name": "/datasets/readings-of-a-name-as-long-as-names-may-be-which-is-64-long",
    "functions": "/functions",
    "plug-ins": "/plugins",
    "report": "/v1/jobs/{winner}/report",
    "report: twelve optimizers": "/v1/jobs/{many}/report",
    "report: points": "/v1/jobs/{points}/report",
    "report: images": "/v1/jobs/{images}/report",
    "report: text": "/v1/jobs/{text}/report",
    "report: batches that grow": "/v1/jobs/{growing}/report",
    "report: today": "/v1/jobs/{today}/report",
    "report: nothing": "/v1/jobs/{nothing}/report",
}
"""The pages, by what they show; the names of jobs stand for their ids."""

ERRORS = {
    "/jobs/01a00000-0000-7000-8000-00000000dead": 404,
    "/jobs/no-id": 404,
    "/compare?job=01a00000-0000-7000-8000-00000000dead&job={winner}": 404,
    "/catalog/optimizers/none": 404,
    "/datasets/none": 404,
}
"""Pages that say in words what is wrong, with their status."""

EMPTY = ("/", "/datasets", "/functions", "/new", "/catalog")
"""Pages that must also look right before anything was done."""

PARTS = {
    "/rows",
    "/workers",
    *(f"/jobs/{{job_id}}/{part}" for part in ("sure", "more", "space", "made")),
}
"""Routes of parts that a script puts into a page: they are seen there."""

DATABASE = "whichopt.db"

PROBLEMS = "[...document.querySelectorAll('[data-problem]')].map((one) => one.dataset.problem)"
"""What is said in the place of a figure that cannot be drawn."""

RULES = {("light", 1280): Rules.ALL, ("light", 360): Rules.NO_COLORS, ("dark", 1280): Rules.COLORS}
"""The windows in which axe-core looks, too: what it finds depends on the layout and on the colors."""

DRAWN = """
() => [...document.querySelectorAll("[data-figure]")].every((place) => {
  if (!place.checkVisibility()) return true;
  const asked = performance.getEntriesByName(new URL(place.dataset.figure, location).href);
  const empty = asked.some((one) => one.responseStatus === 204);
  return place.querySelector("svg") || place.dataset.problem || empty;
}) && !document.querySelector(".htmx-request:not(#live)")
"""


@dataclass(frozen=True)
class Place:
    """A service that answers, and its jobs."""

    origin: str
    app: FastAPI
    jobs: EveryState


@contextmanager
def serving(folder: Path, jobs: EveryState) -> Iterator[Place]:
    """The service over the database in the folder."""
    store = Store(f"sqlite:///{folder / DATABASE}")
    app = create_app(Settings(blobs=folder / "blobs", reap_s=600), store, Recorder(), reader=READER)
    with served(app) as origin:
        yield Place(origin, app, jobs)


def prepare(folder: Path) -> Store:
    store = Store(f"sqlite:///{folder / DATABASE}")
    upgrade(store)
    ensure_key(store, KEY)
    return store


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A service that has seen everything; what it holds is made once, however many processes test."""
    made = shared_folder(tmp_path_factory) / "every-state"
    ids = made / "ids.json"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not ids.exists():
            made.mkdir()
            store = prepare(made)
            ids.write_text(json.dumps(every_state(store, made / "blobs").ids))
            store.close()
    own = tmp_path_factory.mktemp("full")
    shutil.copytree(made, own, dirs_exist_ok=True)
    with serving(own, EveryState(json.loads(ids.read_text()))) as place:
        yield place


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run of the tests, the same in every process of it."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A service that has seen nothing."""
    folder = tmp_path_factory.mktemp("empty")
    prepare(folder).close()
    with serving(folder, EveryState({})) as place:
        yield place


@contextmanager
def visitor(browser: Browser, place: Place) -> Iterator[tuple[Page, Watch]]:
    """A page of somebody who has followed the printed link before."""
    with watched(browser, place.origin) as (context, watch):
        context.add_cookies([{"name": COOKIE, "value": KEY, "url": place.origin}])
        yield context.new_page(), watch


def inspect(page: Page) -> list[str]:
    """Return what is wrong with the page that is shown, at any width, light or dark, folded or not."""
    page.wait_for_function(DRAWN)
    wrong = []
    for width in WIDTHS:
        resize(page, width)
        wrong += [f"folded, {line}" for line in too_wide(page)]
    resize(page, WIDTHS[0])
    wrong += [f"unfolded, {line}" for line in unfold(page)]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            resize(page, width)
            wrong += [f"{scheme}, {line}" for line in too_wide(page)]
            if rules := RULES.get((scheme, width)):
                wrong += [f"{scheme}, {width} px: {line}" for line in findings(page, rules)]
    problems: list[str] = page.evaluate(PROBLEMS)
    return wrong + problems


def unfold(page: Page) -> list[str]:
    """Open all that is folded, and show each panel once; return what is too wide meanwhile."""
    page.evaluate("document.querySelectorAll('details:not([name])').forEach((one) => { one.open = true; })")
    page.wait_for_function(DRAWN)
    wrong = too_wide(page)
    for tab in page.locator("[data-tabs] [data-tab]").all():
        if tab.is_visible():
            tab.click()
            page.wait_for_function(DRAWN)
            wrong += [f"{tab.inner_text()}: {line}" for line in too_wide(page)]
    return wrong


def looked_at(browser: Browser, place: Place, path: str, *, status: int = 200) -> str:
    """Open the page and inspect it; the content policy with which it came."""
    with visitor(browser, place) as (page, watch):
        if status != 200:
            watch.excuse(f"the server responded with a status of {status} .*{re.escape(path)}")
        page.set_viewport_size({"width": 1280, "height": 900})
        answer = page.goto(f"{place.origin}{path}")
        assert answer is not None
        assert (answer.status, answer.header_value("Content-Type")) == (status, "text/html; charset=utf-8"), (
            path
        )
        wrong = inspect(page)
        assert not wrong, f"{path}\n" + "\n".join(wrong)
        return answer.header_value("Content-Security-Policy") or ""


@pytest.mark.parametrize("what", PAGES)
def test_a_page_holds_in_every_window(browser: Browser, full: Place, what: str) -> None:
    policy = looked_at(browser, full, PAGES[what].format(**full.jobs.ids))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy or what.startswith("report")


@pytest.mark.parametrize("path", EMPTY)
def test_a_page_holds_before_anything_was_done(browser: Browser, empty: Place, path: str) -> None:
    looked_at(browser, empty, path)


@pytest.mark.parametrize("path", ERRORS)
def test_a_page_that_says_what_is_wrong_holds(browser: Browser, full: Place, path: str) -> None:
    looked_at(browser, full, path.format(**full.jobs.ids), status=ERRORS[path])


def is_page(route: object) -> bool:
    """Tell if the route answers with HTML."""
    if not isinstance(route, APIRoute) or route.response_class is not HTMLResponse:
        return False
    return "GET" in (route.methods or ())


def test_no_page_is_left_out(full: Place) -> None:
    """A new page must be swept too: its address belongs into PAGES, that of a part of a page into PARTS."""
    swept = [one.partition("?")[0].format(**full.jobs.ids) for one in (*PAGES.values(), *ERRORS)]
    left = {route.path for route in full.app.state.routes if is_page(route)}
    known = {
        path for path in left if any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), one) for one in swept)
    }
    assert left - known == PARTS


@pytest.mark.parametrize(
    ("path", "shows"), [("/docs", "/v1/jobs"), ("/dashboard", "digits")], ids=["docs", "dashboard"]
)
def test_guests_work_by_policies_of_their_own(browser: Browser, full: Place, path: str, shows: str) -> None:
    with visitor(browser, full) as (page, _):
        answer = page.goto(f"{full.origin}{path}")
        assert answer is not None
        expect(page.locator("body")).to_contain_text(shows)
        policy = answer.header_value("Content-Security-Policy")
        assert policy is not None
        assert "'unsafe-inline'" in policy, "what others wrote sets styles as it goes"


def test_swaps_copy_no_style(browser: Browser, full: Place) -> None:
    """A person pulls a text field larger, which gives it a style; the policy lets none be copied."""
    with visitor(browser, full) as (page, watch):
        page.goto(f"{full.origin}/new")
        page.wait_for_function(DRAWN)
        styled = page.evaluate(
            """() => {
                const swapped = "#options [id], #today-options [id], #get [id]";
                const inside = document.querySelectorAll(swapped);
                for (const one of inside) { one.style.color = "red"; one.style.color = ""; }
                return inside.length;
            }"""
        )
        assert styled, "there is nothing that a swap could copy a style from"
        with page.expect_response(lambda answer: "/new/" in answer.url and answer.ok):
            page.locator("[name=model]").select_option("cnn")
        with page.expect_response(lambda answer: "/new/plan" in answer.url and answer.ok):
            page.locator("[name=batch_size]").fill("32")
        page.wait_for_function(DRAWN)
        assert watch.faults == []
