"""The path under which a reverse proxy shows the service, as in https://host/tools/whichopt.

It is a setting (WHICHOPT_BASE_PATH), or the server's (`uvicorn --root-path`). Proxies that strip it and such
that pass it on look the same from here on: `root_path` is in front of `path` once, as ASGI has it. Requests
that never saw the proxy (a health check in the container) come without it and are answered, too.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BasePath:
    """Goes around all that looks at a path, and makes every redirect one to a path of ours.

    An absolute Location would have to know the scheme and the host that the proxy is asked by.
    """

    def __init__(self, app: ASGIApp, base: str) -> None:
        self.app = app
        self.base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        server: str = scope.get("root_path", "").rstrip("/")
        base = self.base or server
        # uvicorn puts its root path before what came, and a proxy may have left ours there.
        path = _without(_without(scope["path"], server), base)

        async def relative(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "location" in headers:
                    headers["location"] = _relative(headers["location"])
            await send(message)

        # In place, as the server's log of requests reads from it what the gate makes of the query.
        scope["root_path"], scope["path"] = base, f"{base}{path}"
        await self.app(scope, receive, relative)


def route_path(scope: Scope) -> str:
    """The path of a request below the base path, as the routes see it."""
    path: str = scope["path"]
    return path.removeprefix(scope["root_path"])


def _without(path: str, base: str) -> str:
    """Return the path below `base`; as it is if it lies elsewhere."""
    if base and path == base:
        return "/"
    return path.removeprefix(base) if path.startswith(f"{base}/") else path


def _relative(location: str) -> str:
    parts = urlsplit(location)
    return parts._replace(scheme="", netloc="", path="/" + parts.path.lstrip("/")).geturl()
