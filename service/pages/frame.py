"""The frame of every page: its bar, its scripts and styles, and what every template may call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from whichopt.service.figures.tones import css_class, symbol
from whichopt.service.pages.headers import HEADERS
from whichopt.service.templating import ASSETS, templates

if TYPE_CHECKING:
    from jinja2 import Environment

NAVIGATION = (
    ("/", "Jobs"),
    ("/new", "New job"),
    ("/catalog", "Catalog"),
    ("/datasets", "Datasets"),
    ("/docs", "API"),
)


def page(
    request: Request,
    template: str,
    *,
    title: str,
    current: str | None = None,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """Return a whole page: `template` extends `frame.html`, and the bar marks its entry `current`."""
    html = render(
        request,
        template,
        title=title,
        current=current,
        navigation=NAVIGATION,
        workers=live_workers(request),
        **values,
    )
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def fragment(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a part of a page, which a script puts in its place."""
    return HTMLResponse(render(request, template, **values), status_code=status, headers=HEADERS)


def render(request: Request, template: str, **values: Any) -> str:
    """Return the template's text; `base` in it is the path that stands before every address of ours."""
    return filled(request.scope["root_path"], template, **values)


def filled(base: str, template: str, **values: Any) -> str:
    """Return the template's text, for who draws without a request; `base` is as in `render`."""
    return environment().get_template(template).render(base=base, **values)


def macros(template: str) -> Any:
    """Return the template's macros as functions, for who calls them so often that a template is too slow."""
    return environment().get_template(template).module


@cache
def environment() -> Environment:
    """Return the environment of all pages and of their parts.

    Filters: `ago` (a time as `2 min ago`), `seconds` (a duration), `digits` (four significant digits),
    `whole` (a number with its thousands apart) and `code` (what stands between backticks as code). Functions:
    `asset` (the address of a file of ours below `base`), `tone_class` and `tone_symbol` (of a tone).
    """
    made = templates()
    made.filters |= {"ago": ago, "seconds": seconds, "digits": digits, "whole": "{:,}".format, "code": code}
    made.globals |= {"asset": asset, "tone_class": css_class, "tone_symbol": symbol}
    return made


@cache
def asset(name: str) -> str:
    """Return the path of a file of ours with a part that changes with its content, so that it may be kept."""
    digest = hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()
    return f"/assets/{name}?v={digest[:12]}"


def ago(then: datetime | None, now: datetime | None = None) -> Markup:
    """Return how long ago that was, as a `<time>` that `page.js` keeps true; nothing for no time."""
    if then is None:
        return Markup()
    passed = ((now or datetime.now(UTC)) - then).total_seconds()
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        then.isoformat(), then.strftime("%Y-%m-%d %H:%M:%S UTC"), _passed(passed)
    )


def _passed(passed_s: float) -> str:
    """Say how long ago in the largest unit that fits; `page.js` says it in the same words."""
    for size_s, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if passed_s >= size_s:
            count = int(passed_s // size_s)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now" if passed_s < 10 else f"{int(passed_s)} s ago"


def seconds(duration_s: float | None) -> str:
    """Return a duration as a person says it: 8.4 s, 52 s, 12 min, 3.5 h."""
    if duration_s is None:
        return ""
    if duration_s < 9.95:
        return f"{duration_s:.1f} s"
    if duration_s < 120:
        return f"{duration_s:.0f} s"
    return f"{duration_s / 60:.0f} min" if duration_s < 7200 else f"{duration_s / 3600:.1f} h"


def code(text: str) -> Markup:
    """Return the text with what stands between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def digits(value: float | None) -> str:
    """Return a value with four significant digits; nothing for none."""
    return "" if value is None else plain(value, 4)


def plain(value: float, significant: int = 6) -> str:
    """Return a number with so many digits as people write it: 1e-5, not 1e-05."""
    return f"{value:.{significant}g}".replace("e-0", "e-").replace("e+0", "e")


def live_workers(request: Request) -> Mapping[str, int]:
    """Return the number of live training processes by kind."""
    state = request.app.state
    with state.store.read() as tx:
        live: Mapping[str, int] = tx.workers.live(state.settings.worker_alive_s)
    return live
