"""Answers every failure, on every route, with an RFC 9457 problem document."""

from __future__ import annotations

import difflib
import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from whichopt.service.db import DatabaseError
from whichopt.service.db.troubles import NO_SHARED_FILES, READ_ONLY, STANDBY, trouble
from whichopt.service.errors import (
    BodyTooLarge,
    InvalidJson,
    InvalidQuery,
    InvalidSpec,
    NotFound,
    Unauthorized,
    Unavailable,
    WhichoptError,
)
from whichopt.service.failures import failure
from whichopt.service.routes.validation import field_problems
from whichopt.service.storage import storage_trouble
from whichopt.service.views import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"
HOW_TO_SEND_A_KEY = 'ApiKey realm="whichopt", header="X-API-Key", Bearer realm="whichopt"'
UNREADABLE = "There was an error parsing the body"
"""FastAPI's message about a body on which Python's JSON reader gave up."""

NUL = "cannot contain NUL"
"""What PostgreSQL's driver says of a text that it cannot send; for SQLite it is a text like any other."""

LONGEST = 200
"""Most characters of a value that are sent back."""

log = structlog.get_logger()
_shorten = reprlib.Repr()
_shorten.maxlevel, _shorten.maxstring, _shorten.maxother, _shorten.maxlong = 3, 80, 80, 80


def install(app: FastAPI) -> None:
    """Turn every exception that leaves a route into a problem document."""
    app.add_exception_handler(WhichoptError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (DatabaseError, OSError):
        app.add_exception_handler(kind, _out_of_reach)
    app.add_exception_handler(Exception, _unexpected)


def response(error: WhichoptError) -> Response:
    """Return the answer for `error`."""
    fields = []
    if error.field is not None:
        nearest = error.nearest or _nearest(error.value, error.allowed)
        field = FieldProblem(
            field=error.field, value=error.value, allowed=error.allowed, nearest=nearest, detail=error.detail
        )
        fields.append(field)
    headers = {"WWW-Authenticate": HOW_TO_SEND_A_KEY} if isinstance(error, Unauthorized) else {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return _document(error.status, error.code, error.title, error.detail, fields, headers)


def unavailable(error: BaseException) -> Response | None:
    """Return 503 with what to do if the database or a disk fails in a known way; else None."""
    storage, found = storage_trouble(error), trouble(error)
    if storage is not None:
        log.error(storage.code, **failure(error))
        # More is known about a database than about any other file.
        exact = found in (READ_ONLY, STANDBY, NO_SHARED_FILES)
        if exact and found is not None:
            storage = type(storage)(f"{found.what} ({getattr(error, 'orig', error)}); {found.instead}")
        return response(storage)
    if found is None:
        return None
    log.error("database_trouble", trouble=found.code, **failure(error))
    return response(Unavailable(found.words, field="database"))


def _document(
    status: int,
    code: str,
    title: str,
    detail: str,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    errors = [
        FieldProblem(
            field=None if field.field is None else _text(field.field),
            value=echo(field.value),
            allowed=_allowed(field.allowed),
            nearest=field.nearest,
            detail=_text(field.detail, 1000),
        )
        for field in fields
    ]
    problem = Problem(
        type=f"urn:whichopt:problem:{code}",
        title=title,
        status=status,
        detail=_text(detail, 1000),
        code=code,
        errors=errors,
    )
    return Response(
        json.dumps(problem.model_dump()), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def echo(value: Any) -> Any:
    """Return `value` as it may be sent back: short, and legal JSON."""
    match value:
        case None | bool():
            return value
        case int() if abs(value) < 2**53:
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return _text(value)
        case _:
            return _text(_shorten.repr(value))


def _allowed(value: Any) -> Any:
    return [echo(each) for each in value] if isinstance(value, list | tuple) else echo(value)


def _text(value: str, longest: int = LONGEST) -> str:
    legal = value[: longest + 1].encode("utf-8", "backslashreplace").decode()
    return legal if len(legal) <= longest else legal[: longest - 1] + "…"


def _nearest(value: Any, allowed: Any) -> str | None:
    if not isinstance(value, str) or not isinstance(allowed, list):
        return None
    near = difflib.get_close_matches(value[:LONGEST], [str(each) for each in allowed], n=1, cutoff=0.5)
    return near[0] if near else None


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, WhichoptError)
    return response(error)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        what = first["ctx"]["error"].removesuffix(" at")  # as Python's reader ends some of its sentences
        return response(InvalidJson(f"the body is not JSON: {what} at {first['loc'][-1]}"))
    fields = field_problems(error.errors(), error.body)
    kind = InvalidSpec if first["loc"][0] == "body" else InvalidQuery
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    return _document(kind.status, kind.code, kind.title, f"{fields[0].detail}{more}", fields)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    match error.status_code:
        case 304:
            return Response(status_code=304, headers=error.headers)
        case 400 if error.detail == UNREADABLE:
            detail = (
                "the body cannot be read as JSON: it is not UTF-8 or nested "
                "too deeply, or a number is too long"
            )
            return response(InvalidJson(detail))
        case 404:
            docs = f"{_base(request)}/docs"
            return response(NotFound(f"there is nothing at {request.scope['path']}; see {docs}"))
        case 405:
            headers = {**(error.headers or {}), **_allow(request)}
            return _document_of(request, error, headers)
        case 413:
            return response(BodyTooLarge(error.detail))
        case _:
            return _document_of(request, error, error.headers)


def _document_of(request: Request, error: HTTPException, headers: Mapping[str, str] | None) -> Response:
    phrase = HTTPStatus(error.status_code)
    detail = f"{request.method} {request.scope['path']}: {error.detail}"
    return _document(error.status_code, phrase.name.lower(), phrase.phrase, detail, headers=headers)


def _allow(request: Request) -> dict[str, str]:
    """Return the header Allow with the methods of all routes that have the path; empty if none has it.

    A router gives only the methods of the first one.
    """
    scope = {**request.scope, "root_path": _base(request)}
    methods = {
        method
        for route in request.app.state.routes
        if route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


def _base(request: Request) -> str:
    """Return the base path; below a mount, such as the files', root_path ends with the mount's own."""
    base: str = request.scope.get("app_root_path", request.scope["root_path"])
    return base


async def _out_of_reach(_: Request, error: Exception) -> Response:
    if NUL in str(getattr(error, "orig", "")):
        return response(InvalidQuery("the request has a NUL character (code 0) in it, and nothing has one"))
    answer = unavailable(error)
    if answer is None:
        raise error
    return answer


async def _unexpected(request: Request, error: Exception) -> Response:
    """Answer errors that no other handler took, and those of middleware, which the others do not see."""
    answer = unavailable(error)
    if answer is not None:
        return answer
    log.error("unexpected_error", path=request.scope["path"], exc_info=error)
    return response(WhichoptError("an unexpected error occurred; the service's log has the details"))
