"""The whole way of a person through the pages, in a real browser and with a service that trains.

Everything is found by its role and its name, as a screen reader finds it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Opened
from tests.builders.chromium import chromium
from tests.builders.homes import Embedded
from tests.builders.own_files import saved
from tests.builders.waiting import DEADLINE_S, wait_until
from whichopt.service.states import JobState

DEADLINE_MS = 1000 * DEADLINE_S
API = "uvicorn"
"""What the command line of the API's process has in it."""

CONNECTION = r"net::ERR_|Failed to fetch|network error"
"""What a browser says of a server that does not answer."""


@dataclass(frozen=True)
class Started:
    home: Embedded
    link: str


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A service with one training process, and the link that it printed."""
    if chromium() is None:
        pytest.skip("there is no browser")
    home = Embedded(tmp_path_factory.mktemp("home") / "data", workers=1)
    yield Started(home, home.printed_link())
    home.stop()


def field(page: Page, label: str) -> Locator:
    """The field whose label begins with that."""
    return page.get_by_role("textbox", name=re.compile(rf"^{label}\b", re.IGNORECASE))


def fill(page: Page, name: str, optimizers: Sequence[str], **texts: str) -> None:
    """Fill the form: the name, who races, and fields by their labels."""
    field(page, "Name").fill(name)
    for box in page.get_by_role("group", name="Optimizers").get_by_role("checkbox").all():
        box.uncheck()
    for one in optimizers:
        page.get_by_role("checkbox", name=one, exact=True).check()
    for label, text in texts.items():
        field(page, label).fill(text)


def send(page: Page, name: str) -> str:
    """Start the race; the id of the job that the page has led to."""
    page.get_by_role("button", name="Start the race").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    found = re.search(r"/jobs/([0-9a-f-]{36})$", page.url)
    assert found is not None, page.url
    return found[1]


def lane(page: Page, label: str) -> Locator:
    """The row of an optimizer in the race."""
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=label, exact=True)).first


def ended_trials(page: Page, labels: Sequence[str]) -> int:
    """The number of trials that have ended, as the lanes say it."""
    counts = (re.search(r"(\d+) of \d+", lane(page, label).inner_text()) for label in labels)
    return sum(int(count[1]) for count in counts if count is not None)


def marks(page: Page, labels: Sequence[str]) -> list[str]:
    """What each mark of the lanes says: its trial and its value."""
    return [text for label in labels for text in lane(page, label).locator("title").all_text_contents()]


def verdict_shown(page: Page) -> None:
    """Wait until the page shows the verdict by itself."""
    step = page.get_by_role("list", name="Progress").locator("[aria-current=step]")
    expect(step).to_contain_text("Verdict", timeout=DEADLINE_MS)
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("winner|no rival"))


def mark_page(page: Page) -> None:
    """Leave something that a reload would take away."""
    page.evaluate("window.notReloaded = true")


def was_reloaded(page: Page) -> bool:
    return not page.evaluate("window.notReloaded === true")


def test_from_the_printed_link_to_a_comparison(started: Started, opened: Opened) -> None:
    """Two optimizers that are far apart, so that there is something to paste."""
    page, _ = opened(started.link)
    expect(page).to_have_url(re.compile(r"/$"))
    page.get_by_role("link", name="Start the first job").click()
    page.get_by_label("Dataset").select_option("digits")
    page.get_by_label("Model").select_option("linear")
    page.get_by_role("radio", name="Quick look").check()
    fill(page, "first of two", ["adabelief", "sgd"], epochs="8")
    expect(page.get_by_role("region", name="What you will get")).to_contain_text("a winner is named")
    job = send(page, "first of two")
    mark_page(page)
    verdict_shown(page)
    assert not was_reloaded(page)
    recommendation = started.home.client.recommendation(job)
    expect(page.get_by_role("main")).to_contain_text(recommendation.optimizer or "")

    page.get_by_role("region", name="Paste and run").get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("status").first).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "optimizer = " in copied
    runs(copied)

    page.get_by_role("link", name="Re-run with changes").click()
    expect(field(page, "Name")).to_have_value("first of two")
    expect(page.get_by_role("checkbox", name="sgd", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="adamw", exact=True)).not_to_be_checked()
    fill(page, "second of two", ["adabelief", "adamw"])
    send(page, "second of two")
    verdict_shown(page)

    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
    for name in ("first of two", "second of two"):
        page.get_by_role("checkbox", name=f"Compare {name}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page).to_have_url(re.compile(r"/compare\?job=.*&job="))
    for text in ("first of two", "second of two", "adabelief", "sgd", "adamw"):
        expect(page.get_by_role("main")).to_contain_text(text)


def runs(copied: str) -> None:
    """Run the copied lines as a person does: after a model, and before a step."""
    program = f"import torch\nmodel = torch.nn.Linear(64, 10)\n{copied}\n" + (
        "torch.nn.functional.cross_entropy(model(torch.randn(8, 64)), torch.arange(8)).backward()\n"
        "optimizer.step()\n"
        "assert len(optimizer.state) == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_marks_move_and_a_lost_connection_comes_back(started: Started, opened: Opened) -> None:
    """The API is killed under an open page; then the job is cancelled, on the page."""
    page, watch = opened(started.link)
    watch.excuse(CONNECTION)
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("Dataset").select_option("digits")
    page.get_by_label("Model").select_option("mlp")
    labels = ["adabelief", "adam", "sgd"]
    fill(page, "a long race", labels, trials="300", studies="1", epochs="12")
    job = send(page, "a long race")
    mark_page(page)
    wait_until(lambda: marks(page, labels), "the first marks")
    shown = marks(page, labels)
    wait_until(lambda: marks(page, labels) != shown, "marks to move")
    wait_until(lambda: ended_trials(page, labels) > 0, "the first trials to end on the page")

    (api,) = started.home.parts(API)
    api.kill()
    api.wait()
    before = ended_trials(page, labels)
    wait_until(started.home.answers, "the API to answer again")
    wait_until(lambda: ended_trials(page, labels) > before, "news after the connection came back")
    assert not was_reloaded(page)

    page.get_by_role("main").get_by_text("Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel this job").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled", timeout=DEADLINE_MS)
    assert started.home.client.job(job).state is JobState.CANCELLED
    expect(page.get_by_text("Cancel", exact=True)).to_have_count(0)
    assert not was_reloaded(page)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two clouds of points, and which of them a point is of."""
    count = 240
    side = [at % 2 for at in range(count)]
    columns: dict[str, list[object]] = {
        "height": [one + (at * 37 % 100) / 150 for at, one in enumerate(side)],
        "width": [2 * one + (at * 61 % 100) / 70 for at, one in enumerate(side)],
        "kind": ["left" if one == 0 else "right" for one in side],
    }
    return saved(tmp_path / "clouds.csv", columns)


def test_an_own_table_is_sent_and_raced_on_and_the_job_concluded_early(
    started: Started, opened: Opened, table: Path
) -> None:
    page, _ = opened(started.link)
    page.get_by_role("link", name="Datasets", exact=True).click()
    page.locator("input[type=file]").set_input_files(table)
    expect(field(page, "Name")).to_have_value("clouds")
    expect(page.get_by_role("region", name="Columns")).to_contain_text("height")
    page.get_by_role("button", name="Keep it, and race on it").click()
    expect(page.get_by_label("Dataset")).to_have_value("clouds")
    page.get_by_label("Model").select_option("linear")
    fill(
        page, "on my table", ["adam", "adamw"], trials="2", studies="1", epochs="40", **{"fresh seeds": "100"}
    )
    job = send(page, "on my table")
    mark_page(page)
    conclude = page.get_by_role("main").get_by_text("Conclude now", exact=True)
    expect(conclude).to_be_visible(timeout=DEADLINE_MS)
    conclude.click()
    page.get_by_role("button", name="Conclude this job").click()
    verdict_shown(page)
    assert not was_reloaded(page)
    ended = started.home.client.job(job)
    assert ended.spec.workload.dataset_name == "clouds"
    assert ended.concluded_seeds is not None
    assert ended.concluded_seeds < 100


def test_what_is_chosen_before_the_scripts_have_arrived_is_taken(
    started: Started, opened: Opened, table: Path
) -> None:
    page, _ = opened(started.link)
    late: list[Route] = []

    def arrive() -> None:
        for route in late:
            route.continue_()
        late.clear()

    page.route(re.compile(r"/(datasets|new)\b[^/]*\.js"), lambda route: late.append(route))
    page.goto(re.sub(r"/\?.*", "/datasets", started.link), wait_until="commit")
    page.locator("input[type=file]").set_input_files(table)
    expect(field(page, "Name")).to_have_value("")
    arrive()
    expect(field(page, "Name")).to_have_value("clouds")

    page.goto(re.sub(r"/\?.*", "/new", started.link), wait_until="commit")
    page.get_by_role("radio", name="Quick look").check()
    before = field(page, "trials").input_value()
    arrive()
    expect(field(page, "trials")).to_have_value("12")
    assert before != "12"
