"""Calls that are put off or not answered: which are repeated, when, and what is raised in the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from tests.builders.concluded_jobs import BODY
from tests.builders.services import KEY
from whichopt.service.client import Client, ProblemError, ServiceUnreachable
from whichopt.service.client.retries import ATTEMPTS, LONGEST_S
from whichopt.service.errors import Unavailable

Answer = httpx.Response | Exception

HEALTH = {"status": "ok", "version": "0"}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept, which pass at once."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    return slept


class Service(httpx.BaseTransport):
    """Gives the answers one after the other, the last one for ever."""

    def __init__(self, *answers: Callable[[], Answer]) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()
        if isinstance(answer, Exception):
            raise answer
        return answer


def busy(status: int = 503, retry_after: str | None = None) -> Callable[[], Answer]:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda: httpx.Response(status, headers=headers, text="busy")


def away() -> Answer:
    return httpx.ConnectError("refused")


def healthy() -> Answer:
    return httpx.Response(200, json=HEALTH)


def client(service: Service) -> Client:
    return Client("http://there:8000", KEY, transport=service)


@pytest.mark.parametrize("trouble", [away, busy(429), busy(502), busy(503), busy(504)])
def test_a_call_that_reads_is_repeated(trouble: Callable[[], Answer], pauses: list[float]) -> None:
    service = Service(trouble, trouble, healthy)
    assert client(service).health().status == "ok"
    assert len(service.asked) == 3
    assert len(pauses) == 2
    assert max(pauses) <= 1.0, "of their own they grow from a quarter of a second"


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500])
def test_what_is_no_matter_of_the_moment_is_not_repeated(status: int, pauses: list[float]) -> None:
    service = Service(busy(status))
    with pytest.raises(ProblemError):
        client(service).health()
    assert (len(service.asked), pauses) == (1, [])


def test_the_pause_is_what_the_service_asks_for(pauses: list[float]) -> None:
    client(Service(busy(503, "7"), healthy)).health()
    assert pauses == [7.0]
    pauses.clear()
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    client(Service(busy(503, moment), healthy)).health()
    assert 15.0 <= pauses[0] <= 20.0, "a moment, to the second"
    pauses.clear()
    client(Service(busy(503, "soon"), healthy)).health()
    assert pauses[0] <= 1.0, "what cannot be read asks for nothing"


def test_a_pause_that_is_too_long_is_not_waited_for(pauses: list[float]) -> None:
    service = Service(busy(429, str(int(LONGEST_S) + 1)))
    with pytest.raises(ProblemError) as raised:
        client(service).health()
    assert raised.value.problem.status == 429
    assert (len(service.asked), pauses) == (1, [])


def test_who_stays_away_is_out_of_reach(pauses: list[float]) -> None:
    service = Service(away)
    expected = "the service at http://there:8000 does not answer: refused; check that it is running"
    with pytest.raises(ServiceUnreachable, match=f"^{re.escape(expected)}"):
        client(service).jobs()
    assert len(service.asked) == ATTEMPTS
    assert len(pauses) == ATTEMPTS - 1


def test_a_job_is_submitted_again_under_one_key_and_cancelled_once(pauses: list[float]) -> None:
    service = Service(away)
    with pytest.raises(ServiceUnreachable):
        client(service).submit(BODY)
    keys = {request.headers["Idempotency-Key"] for request in service.asked}
    assert (len(service.asked), len(keys)) == (ATTEMPTS, 1)
    service = Service(away)
    with pytest.raises(ServiceUnreachable):
        client(service).submit(BODY)
    assert keys.isdisjoint(request.headers["Idempotency-Key"] for request in service.asked), (
        "a job of its own"
    )
    service, waited = Service(away), len(pauses)
    with pytest.raises(ServiceUnreachable):
        client(service).cancel("x")
    assert (len(service.asked), len(pauses)) == (1, waited)


def test_a_file_that_breaks_off_is_fetched_again(tmp_path: Path, pauses: list[float]) -> None:
    class Breaks(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]
            yield b"half of"
            raise httpx.ReadError("cut")

    service = Service(
        lambda: httpx.Response(200, stream=Breaks()), lambda: httpx.Response(200, content=b"all")
    )
    client(service).studies("x", tmp_path / "studies.db")
    assert (tmp_path / "studies.db").read_bytes() == b"all"
    assert [path.name for path in tmp_path.iterdir()] == ["studies.db"]
    assert len(pauses) == 1


def test_whether_a_service_is_ready_is_asked_once(pauses: list[float]) -> None:
    """It says by 503 that it is not."""
    service = Service(busy(503))
    with pytest.raises(ProblemError):
        client(service).ready()
    assert (len(service.asked), pauses) == (1, [])


def test_the_service_says_when_to_ask_again() -> None:
    from whichopt.service.routes.problems import response

    assert response(Unavailable("gone")).headers["Retry-After"] == "2"
