"""A message whose acknowledgement fails does not stay with a connection that goes on."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import redis
from kombu.connection import Connection

import workers.celery_changes  # noqa: F401


class Silent:
    """A channel of a broker that stands still."""

    no_ack_consumers = None

    def basic_ack(self, *_: Any, **__: Any) -> None:
        raise redis.TimeoutError("Timeout reading from socket")

    def basic_reject(self, *_: Any, **__: Any) -> None:
        raise redis.TimeoutError("Timeout reading from socket")


@pytest.mark.parametrize("verb", ["ack_log_error", "reject_log_error"])
@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "redis+socket:///nowhere", "rediss://127.0.0.1:1"])
def test_it_ends_the_connection(url: str, verb: str) -> None:
    """The loop of a worker takes the error for a lost connection, and begins another without messages. With
    the one that it has, a worker of one process would count the message as under way, and take no other."""
    transport = Connection(url).transport  # type: ignore[no-untyped-call]
    payload = {"body": "", "headers": {}, "properties": {"delivery_tag": "a", "delivery_info": {}}}
    message = transport.Channel.Message(payload, channel=Silent())
    with pytest.raises(transport.connection_errors):
        getattr(message, verb)(logging.getLogger(), transport.connection_errors)
