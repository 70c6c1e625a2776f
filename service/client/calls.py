"""Calls a service for a client: repeats what may be repeated, raises its errors, reads streams of events."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from whichopt.service.client.errors import ProblemError, check, unreachable
from whichopt.service.client.retries import ATTEMPTS, PUT_OFF, PutOff, repeat
from whichopt.service.proxies import proxy_for
from whichopt.service.views import JobView, TrialView

ViewT = TypeVar("ViewT", bound=BaseModel)
ResultT = TypeVar("ResultT")

HEARTBEAT_S = 45.0
"""An event stream that is silent for this long is broken: the service beats every 15 seconds."""


class Calls:
    """The connection of a client to a service; the methods of a client are built from its calls."""

    def __init__(
        self, url: str, key: str, *, timeout_s: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"X-API-Key": key},
            timeout=timeout_s,
            transport=transport or httpx.HTTPTransport(proxy=proxy_for(url)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. `with` does it by itself.

        Example:
            >>> from whichopt import Client
            >>> client = Client(url, key)
            >>> client.close()
        """
        self._http.close()

    # -- for the methods of a client ------------------------------------------------------------------------

    def _get(self, view: type[ViewT], path: str, **params: Any) -> ViewT:
        given = {name: str(value) for name, value in params.items() if value is not None}
        return self._call(view, "GET", path, repeatable=True, params=given)

    def _save(self, path: str, to: Path, **params: str) -> None:
        if not to.name or to.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file", str(to))
        if not to.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder; make it", str(to.parent))
        part = to.with_name(f".whichopt-{secrets.token_hex(4)}.part")  # a name may be as long as any may

        def fetch() -> None:
            with self._http.stream("GET", path, params=params, timeout=None) as response:
                check(response)
                try:
                    with part.open("wb") as file:
                        for piece in response.iter_bytes():
                            file.write(piece)
                except OSError as error:  # whose file has a name that nobody knows, or none
                    raise OSError(error.errno, error.strerror, str(to.parent)) from error

        try:
            self._tried(fetch, repeatable=True)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    def _call(
        self, view: type[ViewT], method: str, path: str, *, repeatable: bool = False, **options: Any
    ) -> ViewT:
        return self._tried(lambda: self._once(view, method, path, **options), repeatable=repeatable)

    def _once(self, view: type[ViewT], method: str, path: str, **options: Any) -> ViewT:
        return view.model_validate_json(self._sent(method, path, **options))

    def _sent(self, method: str, path: str, **options: Any) -> bytes:
        """Make the call, and return what is answered.

        Raises:
            ProblemError: it is a refusal.
        """
        response = self._http.request(method, path, **options)
        check(response)
        return response.content

    def _tried(self, call: Callable[[], ResultT], *, repeatable: bool) -> ResultT:
        """Return what `call` does; repeat it if nobody answers or it is put off, and it is `repeatable`."""

        def attempt() -> ResultT:
            try:
                return call()
            except httpx.TransportError as error:
                raise PutOff(unreachable(self._url, error)) from error
            except ProblemError as error:
                if error.problem.status not in PUT_OFF:
                    raise
                raise PutOff(error, error.retry_after) from error

        return repeat(attempt, attempts=ATTEMPTS if repeatable else 1)

    def _stream(
        self, job_id: str, last_event_id: int | None, *, curves: bool
    ) -> Iterator[JobView | TrialView]:
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        limits = httpx.Timeout(self._http.timeout.connect, read=HEARTBEAT_S)
        params = {"curves": "true"} if curves else {}
        with self._http.stream(
            "GET", f"/v1/jobs/{job_id}/events", params=params, headers=headers, timeout=limits
        ) as response:
            check(response)
            name, data = "", list[str]()
            for line in response.iter_lines():
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].removeprefix(" "))
                elif not line and data:
                    view = JobView if name == "job" else TrialView
                    yield view.model_validate_json("\n".join(data))
                    name, data = "", []
