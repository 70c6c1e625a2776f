"""The thread that repeats a step: nothing ends it unseen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from tests.builders.waiting import wait_until
from whichopt.service import reaper, steady
from whichopt.service.steady import Steady


class Repeated(Steady):
    """Calls `does` at each step, and counts."""

    def __init__(self, does: Callable[[], object]) -> None:
        super().__init__("repeated", 0.001)
        self.does = does
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        self.does()


@pytest.fixture
def raises() -> list[BaseException]:
    """What the thread's steps raise: the last of these."""
    return []


@pytest.fixture
def thread(raises: list[BaseException]) -> Iterator[Repeated]:
    def does() -> None:
        if raises:
            raise raises[-1]

    made = Repeated(does)
    yield made
    made.stop()


def test_failures_that_are_alike_are_logged_once_and_end_nothing(
    thread: Repeated, raises: list[BaseException]
) -> None:
    def after_more_steps() -> None:
        seen = thread.steps
        wait_until(lambda: thread.steps > seen + 5, "further steps")

    with capture_logs() as logged:
        raises.append(OSError(28, "No space left on device"))
        thread.start()
        after_more_steps()
        raises.append(RuntimeError("another"))
        after_more_steps()
        raises.clear()
        after_more_steps()
    assert [line["event"] for line in logged] == ["step_failed", "step_failed", "steps_succeed_again"]
    assert logged[-1]["failed"] > 10
    assert thread.trouble() is None


def test_a_thread_that_gets_nothing_done_is_in_trouble_until_it_does(
    thread: Repeated, raises: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "PATIENCE_S", 0.0)
    raises.append(OSError(28, "No space left on device"))
    thread.start()
    wait_until(lambda: thread.steps > 3, "some steps")
    told = thread.trouble()
    assert told is not None
    assert "No space left on device" in told
    raises.clear()
    monkeypatch.setattr(steady, "PATIENCE_S", 100.0)
    wait_until(lambda: thread.trouble() is None, "a step that succeeds")


def test_a_thread_that_hangs_is_in_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    thread = Repeated(goes_on.wait)
    thread.start()
    wait_until(lambda: thread.steps, "the step to begin")
    assert thread.trouble() is None
    monkeypatch.setattr(steady, "PATIENCE_S", -1.0)
    assert "nothing done" in str(thread.trouble())
    goes_on.set()
    thread.stop()


def test_readyz_tells_of_a_reaper_that_is_dead(http: TestClient) -> None:
    assert http.get("/readyz").status_code == 200
    (thread,) = [each for each in threading.enumerate() if isinstance(each, reaper.Reaper)]
    thread.stop()
    answer = http.get("/readyz")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (503, "reaper")
    assert "not running" in answer.json()["detail"]


def test_readyz_tells_of_a_reaper_that_fails_again_and_again(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "PATIENCE_S", -1e6)
    answer = http.get("/readyz")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (503, "reaper")
    assert "nothing done" in answer.json()["detail"]
