"""Doorbells over a real broker: one that is full, refuses, or is away, loses them and raises nothing."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from whichopt.service.dispatch import PLAN_QUEUE, CeleryDispatcher, celery_app
from whichopt.service.settings import Settings
from whichopt.workers.embedded.broker import Broker

PREFIX = "tested:"


@pytest.fixture
def dispatcher(broker: Broker) -> CeleryDispatcher:
    return CeleryDispatcher(celery_app(Settings(broker_url=broker.url, broker_prefix=PREFIX)))


def test_doorbells_that_wait_are_counted(dispatcher: CeleryDispatcher) -> None:
    assert dispatcher.waiting("cpu") == 0
    dispatcher.cohorts([1, 2], "cpu")
    dispatcher.plan(1)
    assert (dispatcher.waiting("cpu"), dispatcher.waiting(PLAN_QUEUE)) == (2, 1)


def test_trying_the_broker_leaves_nothing_that_stays(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    assert dispatcher.refusal() is None
    (key,) = broker._client().keys("*")
    assert str(key).startswith(f"b'{PREFIX}")
    assert 0 < broker._client().ttl(key) <= 60


@pytest.mark.parametrize(
    ("setting", "value", "usual", "says"),
    [("maxmemory", 1, 0, "maxmemory"), ("min-replicas-to-write", 1, 0, "NOREPLICAS")],
)
def test_a_broker_that_refuses_every_write_is_heard_and_raises_nothing(
    broker: Broker, dispatcher: CeleryDispatcher, setting: str, value: int, usual: int, says: str
) -> None:
    broker._client().config_set(setting, value)
    assert says in str(dispatcher.refusal())
    with capture_logs() as logged:
        dispatcher.plan(1)
        dispatcher.cohorts([1], "cpu")
        dispatcher.report(1)
    assert [line["event"] for line in logged] == ["doorbell_lost"] * 3
    assert dispatcher.waiting(PLAN_QUEUE) == 0, "it can be asked"
    broker._client().config_set(setting, usual)
    assert dispatcher.refusal() is None
    dispatcher.plan(1)
    assert dispatcher.waiting(PLAN_QUEUE) == 1


def test_a_broker_that_is_away_is_told_of_once(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    broker.stop()
    with capture_logs() as logged:
        assert [dispatcher.waiting("cpu") for _ in range(3)] == [None, None, None]
    assert [line["event"] for line in logged] == ["broker_out_of_reach"]
    assert str(broker.socket) in str(dispatcher.refusal())
    Broker(broker.folder.parent).runtime.mkdir(exist_ok=True)  # for the fixture, which stops it again
