"""The Optuna dashboard behind our doors: read-only, and imported when it is first asked for."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whichopt.service.db import Store
from whichopt.service.errors import InvalidQuery, NotFound
from whichopt.service.routes import dashboard_moved as moved
from whichopt.service.routes.base_path import route_path
from whichopt.service.routes.problems import MEDIA_TYPE
from whichopt.service.views import Problem

PREFIXES = ("/dashboard", "/api", "/static", "/csv", "/artifacts")
"""Its page and script use these absolute paths, so it cannot be moved under one of ours."""

READS = ("GET", "HEAD", "OPTIONS")
STUDY = re.compile(r"^/(?:api/studies|csv|artifacts)/(\d+)(?:/|$)")


def mount(app: FastAPI, store: Store) -> None:
    """Puts the dashboard behind every route that `app` has."""
    dashboard = Dashboard(store)
    for prefix in PREFIXES:
        app.router.routes.append(Route(prefix, dashboard, include_in_schema=False))
        app.router.routes.append(Route(f"{prefix}/{{rest:path}}", dashboard, include_in_schema=False))
    app.router.routes.append(Route("/favicon.ico", dashboard, include_in_schema=False))


class Dashboard:
    """An ASGI app that becomes the dashboard at its first request."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._made: ASGIApp | None = None
        self._making = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allow = {"Allow": ", ".join(READS)}
        if scope["method"] not in READS:
            await _read_only(allow)(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=allow)(scope, receive, send)
            return
        request = Request(scope)
        await run_in_threadpool(self._check, request)
        if (name := moved.file_at(route_path(scope))) is not None:
            await (await run_in_threadpool(moved.answer, name, request))(scope, receive, send)
            return
        # Its file routes fail where no encoding is asked for.
        given = {name for name, _ in scope["headers"]}
        if b"accept-encoding" not in given:
            scope = {**scope, "headers": [*scope["headers"], (b"accept-encoding", b"identity")]}
        made = await run_in_threadpool(self._make) if self._made is None else self._made
        refused = _Refused(send)
        await made(scope, receive, refused)
        if refused.status == 400:
            raise InvalidQuery(refused.reason)
        if refused.status is not None:
            raise HTTPException(refused.status, refused.reason)

    def _make(self) -> ASGIApp:
        with self._making:
            if self._made is None:
                from whichopt.service.optuna_storage import asgi  # takes seconds to import

                self._made = asgi(self.store)
            return self._made

    def _check(self, request: Request) -> None:
        """Refuses what the dashboard would answer with a 500.

        Raises:
            NotFound: no such study, or a plot that it draws by a package that is not needed here.
            InvalidQuery: a parameter that it cannot read.
        """
        path = route_path(request.scope)
        if not request.scope["query_string"].isascii():
            raise InvalidQuery("the query must be percent-encoded")
        study = STUDY.match(path)
        if study is not None:
            with self.store.read() as tx:
                known = len(study[1]) < 10 and tx.studies.exists(int(study[1]))
            if not known:
                raise NotFound(f"no study {study[1]}")
        if "/plot/" in path:
            raise NotFound("the dashboard's page draws its plots itself")
        after = request.query_params.get("after", "0")
        if not re.fullmatch(r"[0-9]{1,9}", after):
            raise InvalidQuery("after: a number of trials", field="after", value=after)


def address(studies: Sequence[int]) -> str:
    """Return the path at which the dashboard shows these studies side by side, or the only one."""
    if len(studies) == 1:
        return f"/dashboard/studies/{studies[0]}"
    return f"/dashboard/compare-studies?ids={','.join(map(str, studies))}" if studies else "/dashboard"


def _read_only(allow: Mapping[str, str]) -> Response:
    """Return the refusal of a write: a problem document, with the member that the dashboard shows."""
    problem = Problem(
        type="urn:whichopt:problem:method_not_allowed",
        title=HTTPStatus.METHOD_NOT_ALLOWED.phrase,
        status=HTTPStatus.METHOD_NOT_ALLOWED,
        detail=moved.READS_ONLY,
        code="method_not_allowed",
    )
    told = {**problem.model_dump(), "reason": moved.READS_ONLY}
    return JSONResponse(told, problem.status, dict(allow), media_type=MEDIA_TYPE)


class _Refused:
    """Passes an answer on, but holds a refusal back, whose body is not a problem document."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.status: int | None = None

    @property
    def reason(self) -> str:
        assert self.status is not None
        return f"the dashboard refuses it: {HTTPStatus(self.status).phrase.lower()}"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self.status = message["status"]
        if self.status is None:
            await self.send(message)
