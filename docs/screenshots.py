"""Takes the pictures of the pages that README and docs show, of jobs that are really trained.

    make screenshots          # some minutes; needs Chromium

A service trains jobs on the digits, and a browser looks at it: a race in its search, a verdict, light and
dark, and the list of all jobs.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.builders.chromium import HOW_TO_GET, chromium, started
from tests.builders.homes import Embedded
from tests.builders.waiting import wait_until
from whichopt.service.views import JobView

FOLDER = Path(__file__).parent / "figures" / "page"
WIDTH, HEIGHT, TALL = 1280, 900, 1120
MOST_BYTES = 200_000

SIX = ["adabelief", "adamw", "nadam", "radam", "adam", "sgd"]
JOBS: tuple[dict[str, Any], ...] = (
    {
        "name": "wine baseline",
        "workload": {"dataset": "wine", "model": {"name": "mlp", "hidden": [32]}},
        "optimizers": ["adabelief", "sgd"],
        "budget": {"trials": 12, "replicates": 3, "epochs": 10, "confirm_seeds": 8},
        "today": {"name": "adamw", "config": {"lr": 0.001}},
    },
    {
        "name": "breast cancer, margin 2 %",
        "workload": {"dataset": "breast_cancer", "model": {"name": "linear"}},
        "optimizers": ["adabelief", "adam", "sgd"],
        "margin": {"percent": 2},
        "budget": {"trials": 9, "replicates": 3, "epochs": 5, "confirm_seeds": 6},
    },
)
RACE: dict[str, Any] = {
    "name": "digits, who wins?",
    "workload": {"dataset": "digits", "model": {"name": "mlp", "hidden": [128, 64]}},
    "optimizers": SIX,
    "budget": {"trials": 24, "replicates": 3, "epochs": 15, "confirm_seeds": 20},
}
SHOWN = 60
"""Trials that have ended when the search is photographed."""


def main() -> None:
    program = chromium()
    if program is None:
        sys.exit(f"there is no browser to take pictures with. {HOW_TO_GET}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        _home(Path(folder) / "data") as home,
        started(program) as browser,
    ):
        for spec in JOBS:
            home.finish(home.client.submit(spec))
        job, link = home.client.submit(RACE), home.printed_link()
        wait_until(lambda: _searched(home, job), "a search that has come some way")
        _take(browser, link, f"/jobs/{job.id}", "race", "light")
        home.finish(job)
        home.client.submit({**RACE, "name": "digits, once more", "seed": 1})
        for scheme in ("light", "dark"):
            _take(browser, link, f"/jobs/{job.id}", f"verdict-{scheme}", scheme, TALL)
        _take(browser, link, "/", "home", "light")


@contextmanager
def _home(data: Path) -> Iterator[Embedded]:
    home = Embedded(data)
    try:
        yield home
    finally:
        home.stop()


def _searched(home: Embedded, job: JobView) -> bool:
    now = home.client.job(job.id)
    return now.state.ended or now.progress.trials_done >= SHOWN


def _take(
    browser: Browser, link: str, path: str, name: str, scheme: Literal["light", "dark"], height: int = HEIGHT
) -> None:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(link)
    page.goto(link.partition("/?")[0] + path)
    _settled(page)
    below = page.get_by_role("main").bounding_box()
    assert below is not None
    end = min(height, below["y"] + below["height"] + 24)
    shot = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": end})
    file = FOLDER / f"{name}.png"
    Image.open(io.BytesIO(shot)).convert("RGB").save(file, optimize=True)
    context.close()
    size = file.stat().st_size
    assert size <= MOST_BYTES, f"{file.name} has {size} bytes"
    sys.stdout.write(f"{file.relative_to(Path.cwd())}: {size} bytes\n")


def _settled(page: Page) -> None:
    """Wait until the figures in sight are drawn."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-figure]')]"
        ".every((place) => !place.checkVisibility() || place.querySelector('svg'))"
    )


if __name__ == "__main__":
    main()
