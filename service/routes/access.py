"""The gate: every request but one for /healthz carries an API key, whatever route it asks for.

One ASGI middleware around everything, so that no route (dashboard, metrics, docs, files) can be forgotten.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from whichopt.service.db import DatabaseError, Store
from whichopt.service.errors import Unauthorized
from whichopt.service.routes import problems
from whichopt.service.routes.base_path import route_path
from whichopt.service.routes.sent_key import COOKIE, how, sent_key, without_keys

OPEN = "/healthz"
COOKIE_AGE_S = 365 * 86400

log = structlog.get_logger()


class Gate:
    """Finds the key in a header or the cookie, and notes its id as `request.state.api_key_id`."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app = app
        self.store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked: bytes = scope.get("query_string", b"")
        if asked:
            # In place and whatever is asked for: a server's log of requests shows it after the answer.
            scope["query_string"] = without_keys(asked)
        if scope["type"] == "lifespan" or (scope["type"] == "http" and route_path(scope) == OPEN):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = await self._judge(Request(scope), asked)
            await (self.app if refusal is None else refusal)(scope, receive, send)

    async def _judge(self, request: Request, asked: bytes) -> Response | None:
        """None if the request may go on; `asked` is its query as it came."""
        try:
            if (linked := _link_key(request, asked)) is not None:
                await self._key_id(linked, request)
                return _welcome(linked, request)
            request.state.api_key_id = await self._key_id(sent_key(request), request)
        except Unauthorized as error:
            return problems.response(error)
        except DatabaseError as error:
            refusal = problems.unavailable(error)
            if refusal is None:
                raise
            return refusal
        return None

    async def _key_id(self, key: str, request: Request) -> int:
        def find() -> int | None:
            with self.store.read() as tx:
                return tx.keys.find(key)

        key_id = await run_in_threadpool(find) if key else None
        if key_id is None:
            raise Unauthorized(f"this API key is not known; {how(request)}")
        return key_id


def _link_key(request: Request, asked: bytes) -> str | None:
    """The key of a page link."""
    if route_path(request.scope) != "/" or request.method not in ("GET", "HEAD"):
        return None
    query = parse_qs(asked.decode("latin-1"), keep_blank_values=True)
    return query["key"][0].strip() if "key" in query else None


def _welcome(key: str, request: Request) -> Response:
    """Keeps the key in a cookie, and leads to the page without it in the address."""
    base: str = request.scope["root_path"]
    secure = request.scope["scheme"] == "https"
    answer = RedirectResponse(f"{base}/", status_code=303, headers={"Referrer-Policy": "no-referrer"})
    answer.set_cookie(
        COOKIE, key, max_age=COOKIE_AGE_S, path=base or "/", httponly=True, samesite="strict", secure=secure
    )
    if not secure and request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https":
        log.warning(
            "proxy_not_trusted",
            proxy=request.client.host if request.client else None,
            detail="the proxy says that HTTPS was used, but it is not trusted, so the key's cookie is not "
            "Secure; if the proxy is yours, add its address or network to FORWARDED_ALLOW_IPS",
        )
    return answer
