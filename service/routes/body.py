"""Limits request bodies to JSON of a maximum size."""

from __future__ import annotations

import json
from email.message import Message as Header

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whichopt.service.errors import BodyTooLarge, InvalidJson, UnsupportedMedia
from whichopt.service.json_input import once
from whichopt.service.routes import problems
from whichopt.service.routes.base_path import route_path

SENDING = ("POST", "/v1/datasets")
"""The call that takes a file: it streams it to the disk, counts it, and refuses what is too large."""


class BodyLimit:
    """Refuses a body over `most` bytes: by what it declares, or as soon as that much has come.

    Files that are sent have a limit of their own, which their route keeps.

    FastAPI's own `max_body_size` answers in plain text before any handler of ours runs.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], route_path(scope)) == SENDING:
            await self.app(scope, receive, send)
            return
        refusal = f"a body may have {self.most:,} bytes at most"
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > self.most):
            await problems.response(BodyTooLarge(refusal))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b"")) if message["type"] == "http.request" else 0
            if seen > self.most:
                raise HTTPException(413, refusal)  # the one kind that FastAPI lets through while it reads
            return message

        await self.app(scope, counted, send)


async def json_only(request: Request) -> None:
    """Refuses a body that is not declared as JSON, and one that gives a field twice: either may be meant."""
    header = Header()
    header["content-type"] = sent = request.headers.get("content-type", "")
    main, sub = header.get_content_maintype(), header.get_content_subtype()
    if not sent or main != "application" or not (sub == "json" or sub.endswith("+json")):
        raise UnsupportedMedia(
            f"the body's content type is {sent or 'not given'}; send application/json",
            field="Content-Type",
            value=sent,
            allowed=["application/json"],
        )
    try:
        json.loads(await request.body() or "null", object_pairs_hook=once)
    except ValueError as error:
        raise InvalidJson(f"the body is not JSON: {error}") from None
