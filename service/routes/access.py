"""The gate: every request but `GET /healthz` carries an API key, whatever route it asks for.

One ASGI middleware around everything, so that no route (dashboard, metrics, docs, files) can be forgotten.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.db import DatabaseError, Store
from service.errors import Unauthorized
from service.routes import problems

HEADER = "X-API-Key"
COOKIE = "whichopt_key"
OPEN = "/healthz"
COOKIE_AGE_S = 365 * 86400
HOW = f"send it in the header {HEADER}, or open the page link that the service printed (/?key=...)"


class Gate:
    """Finds the key in header or cookie, and notes its id as `request.state.api_key_id`."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app = app
        self.store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] == OPEN):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = await self._judge(Request(scope))
            await (self.app if refusal is None else refusal)(scope, receive, send)

    async def _judge(self, request: Request) -> Response | None:
        """None where the request may go on."""
        try:
            if (linked := _link_key(request)) is not None:
                await self._key_id(linked)
                return _welcome(linked, secure=request.scope["scheme"] == "https")
            request.state.api_key_id = await self._key_id(_sent_key(request))
        except Unauthorized as error:
            return problems.response(error)
        except DatabaseError as error:
            told = problems.unavailable(error)
            if told is None:
                raise
            return told
        return None

    async def _key_id(self, key: str) -> int:
        def find() -> int | None:
            with self.store.read() as tx:
                return tx.keys.find(key)

        found = await run_in_threadpool(find)
        if found is None:
            raise Unauthorized(f"this API key is not known; {HOW}")
        return found


def _sent_key(request: Request) -> str:
    if HEADER in request.headers:
        return request.headers[HEADER]
    if COOKIE not in request.cookies:
        raise Unauthorized(f"an API key is needed; {HOW}")
    # Another service on this host is the same site to a browser: its pages would send the cookie along.
    if request.method not in ("GET", "HEAD", "OPTIONS") and request.headers.get("Sec-Fetch-Site") in (
        "same-site",
        "cross-site",
    ):
        raise Unauthorized(f"a page of another origin cannot use the cookie; {HOW}")
    return request.cookies[COOKIE]


def _link_key(request: Request) -> str | None:
    """The key of a page link."""
    if request.scope["path"] != "/" or request.method != "GET":
        return None
    query = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return query["key"][0] if "key" in query else None


def _welcome(key: str, *, secure: bool) -> Response:
    """Keeps the key in a cookie, and leads to the page without it in the address."""
    answer = RedirectResponse("/", status_code=303, headers={"Referrer-Policy": "no-referrer"})
    answer.set_cookie(COOKIE, key, max_age=COOKIE_AGE_S, httponly=True, samesite="strict", secure=secure)
    return answer
