"""Finds the representation that a request wants, and if it has it already (RFC 9110, 8.8, 12.5, 13.1)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

SMALLEST_BYTES = 1024
"""Answers below this size are sent as they are."""

LEVEL = 6


def preferred(accept: str | None, kinds: Sequence[str]) -> str:
    """Return the media type among `kinds` that `Accept` puts highest; the first one of equals."""
    weights = _weights(accept or "*/*")

    def weight(kind: str) -> float:
        general = weights.get("*/*", 0.0)
        return weights.get(kind, weights.get(f"{kind.partition('/')[0]}/*", general))

    return max(kinds, key=weight)


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Tell if gzip may be sent; without the header nothing but the plain content is."""
    weights = _weights(accept_encoding or "")
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0.0


def matches(etag: str, if_none_match: str | None) -> bool:
    """Tell if `If-None-Match` has the ETag, by the weak comparison that it asks for."""
    known = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return etag in known or "*" in known


def _weights(header: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        try:
            weights[name] = float(weight)
        except ValueError:
            weights[name] = 0.0
    return weights


class Compression:
    """Compresses answers of some size by gzip, if the client accepts it.

    Starlette's middleware does the work. It leaves alone what is compressed already, and event streams. It
    also takes a client that refuses gzip (`gzip;q=0`) for one that accepts it; that is put right here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.compressing = GZipMiddleware(app, minimum_size=SMALLEST_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not accepts_gzip(Headers(scope=scope).get("accept-encoding")):
            others = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            scope = {**scope, "headers": others}
        await self.compressing(scope, receive, send)
