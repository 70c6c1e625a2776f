"""Windows of the widths for which the pages are made, and what does not fit into one."""

from __future__ import annotations

from playwright.sync_api import Page

WIDTHS = (360, 768, 1280, 1920)
"""px: a phone, a tablet, a laptop, a large screen."""

HEIGHT = 900

WIDE = """
() => {
  const width = document.documentElement.clientWidth;
  const all = document.documentElement.scrollWidth;
  if (all <= width) return null;
  const inScroller = (one) => {
    for (let at = one.parentElement; at && at !== document.body; at = at.parentElement)
      if (getComputedStyle(at).overflowX !== "visible") return true;
    return false;
  };
  const wide = [...document.body.querySelectorAll("*")].filter(
    (one) => one.getBoundingClientRect().right > width + 0.5 && !inScroller(one));
  const innermost = wide.filter((one) => !wide.some((other) => other !== one && one.contains(other)));
  return `${all} px wide, by ` + innermost.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join(" | ");
}
"""


def too_wide(page: Page) -> list[str]:
    """Return the complaint that the page is wider than its window, with what is wide; none if it fits."""
    found = page.evaluate(WIDE)
    return [] if found is None else [f"{page.evaluate('innerWidth')} px: {found}"]


def resize(page: Page, width: int) -> None:
    """Give the window that width, and wait until the page is laid out and its observers were told."""
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
