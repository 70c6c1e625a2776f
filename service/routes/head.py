"""HEAD wherever GET answers: the same status and headers, and no body."""

from __future__ import annotations

import anyio
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Asks the routes for what GET would answer; servers send no body to HEAD, whatever they are handed.

    Stands inside of compression, which needs the body to know its length. An event stream ends with its
    headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"

        with anyio.CancelScope() as answering:

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(scope=message)
                    _allow(headers)
                    if head and headers.get("content-type", "").startswith("text/event-stream"):
                        await send(message)
                        await send({"type": "http.response.body", "body": b"", "more_body": False})
                        answering.cancel()
                        return
                await send(message)

            await self.app({**scope, "method": "GET"} if head else scope, receive, answer)


def _allow(headers: MutableHeaders) -> None:
    """Names HEAD beside GET if a refusal lists what is allowed."""
    methods = [method.strip() for method in headers.get("allow", "").split(",")]
    if "GET" in methods and "HEAD" not in methods:
        headers["allow"] = ", ".join([*methods, "HEAD"])
