"""The findings of axe-core on the page that is shown."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page


@cache
def _axe() -> str:
    (script,) = Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")
    return script.read_text()


class Rules(StrEnum):
    """Which rules are asked; how colors contrast takes most of the time."""

    ALL = "{}"
    COLORS = "{ runOnly: ['color-contrast', 'link-in-text-block'] }"
    NO_COLORS = "{ rules: { 'color-contrast': { enabled: false } } }"


def findings(page: Page, rules: Rules = Rules.ALL) -> list[str]:
    """Return each finding of axe-core as a line: how grave, the rule, how often, and the first place.

    It is run by the debugger, which the page's policy does not bind.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{{ {_axe()} }}")
    found = page.evaluate(f"axe.run(document, {{ resultTypes: ['violations'], ...{rules} }})")
    return [
        f"{one['impact']} {one['id']} ({len(one['nodes'])} times): {one['nodes'][0]['html'][:200]} "
        f"{' '.join(one['nodes'][0]['failureSummary'].split())[:300]}"
        for one in found["violations"]
    ]
