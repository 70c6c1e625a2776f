"""The Optuna dashboard's page and script as they are sent: under a base path, and with words of ours.

Both name absolute paths in a few places. Those are put under the base path, which the dashboard knows nothing
of. A version with other places is refused in words, as its page would stay empty without any.

The page gets a bar that says that it only reads, and the script says why when it is refused to create, rename
or delete a study: its own words say only that it failed. A version with other words keeps its own.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from whichopt.service.errors import Unavailable
from whichopt.service.routes.negotiation import LEVEL, accepts_gzip, matches

PAGE, SCRIPT = "index.html", "public/bundle.js"
KINDS = {PAGE: "text/html", SCRIPT: "text/javascript"}
PLACES = {
    PAGE: ('"/static/',),
    # The page's own routes, what it fetches, and its link to a table; no artifacts are kept here.
    SCRIPT: ('"/dashboard"', "${this.baseURL}/api/", "`/csv/${"),
}
"""Texts that stand before a path of the dashboard, with the beginning of the path."""

READS_ONLY = "This dashboard only reads: studies are made by jobs, and change on the pages of their jobs"

BAR = (
    '<aside style="position:fixed;bottom:0;left:65px;right:0;z-index:1300;padding:6px 16px;'
    'font:14px system-ui,sans-serif;background:#15181c;color:#fff">This dashboard only reads. Studies are '
    "made by jobs: to start, cancel or conclude one, go "
    '<a href="{base}/" style="color:#8fd3f7">back to whichopt</a>.</aside>'
)
WORDS = {
    PAGE: {"<body>": f"<body>{BAR}"},
    SCRIPT: {
        f"`Failed to {failed} study (": f"`Refused to {what} a study. {READS_ONLY} ("
        for what, failed in (("create", "create a"), ("delete", "delete"), ("rename", "rename"))
    },
}
"""Texts that are replaced by ours wherever they stand; `{base}` is the base path."""

POLICY = (  # the dashboard's own, of its version 0.21
    "default-src 'self';img-src 'self' data: blob:;frame-src 'self';object-src 'none';connect-src 'self';"
    "style-src 'self' data: 'unsafe-inline';script-src 'self' 'unsafe-eval'"
)


class Moved(NamedTuple):
    plain: bytes
    packed: bytes
    etag: str


def file_at(path: str) -> str | None:
    """Return the file that the dashboard answers this path with, if it is one that we change."""
    if path == "/dashboard" or path.startswith("/dashboard/"):
        return PAGE
    return SCRIPT if path == "/static/bundle.js" else None


def answer(name: str, request: Request) -> Response:
    """The file as it is under the request's base path.

    Raises:
        Unavailable: this version of the dashboard names its paths in another way.
    """
    asset = _moved(name, request.scope["root_path"])
    headers = {"ETag": f"W/{asset.etag}", "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if matches(asset.etag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    if name == PAGE:
        headers["Content-Security-Policy"] = POLICY
    packed = accepts_gzip(request.headers.get("accept-encoding"))
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.packed if packed else asset.plain, media_type=KINDS[name], headers=headers)


@lru_cache(maxsize=4)
def _moved(name: str, base: str) -> Moved:
    # By its place: to import it takes seconds.
    spec = importlib.util.find_spec("optuna_dashboard")
    if spec is None or spec.origin is None:
        raise Unavailable("the Optuna dashboard is not installed")
    text = (Path(spec.origin).parent / name).read_text(encoding="utf-8")
    for place in PLACES[name]:
        if base and place not in text:
            raise Unavailable(
                "this version of the Optuna dashboard cannot be shown under a base path; without one it can"
            )
        at = place.index("/") if not place.startswith("$") else 0
        text = text.replace(place, f"{place[:at]}{base}{place[at:]}")
    for words, ours in WORDS[name].items():
        text = text.replace(words, ours.replace("{base}", base))
    plain = text.encode()
    return Moved(plain, gzip.compress(plain, LEVEL, mtime=0), f'"{hashlib.sha256(plain).hexdigest()[:32]}"')
