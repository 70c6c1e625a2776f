"""Repeats calls that a service has not answered, or has put off, as long as that may help."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_any,
)
from tenacity.stop import stop_base
from tenacity.wait import wait_random_exponential

ResultT = TypeVar("ResultT")

PUT_OFF = frozenset({429, 502, 503, 504})
"""Statuses that speak of the moment: too many requests, a restart, no space for now."""

ATTEMPTS = 4
LONGEST_S = 45.0
"""Seconds after which nothing is tried again; a longer Retry-After is not waited for."""

_growing = wait_random_exponential(multiplier=0.25, max=4.0)


class PutOff(Exception):
    """A call that may succeed if it is made again; `cause` is what the caller sees if it never does."""

    def __init__(self, cause: Exception, retry_after: str | None = None) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.retry_after_s = _seconds(retry_after)


def repeat(attempt: Callable[[], ResultT], *, attempts: int = ATTEMPTS) -> ResultT:
    """Call `attempt` until it does not raise `PutOff`, with pauses that grow, or as Retry-After says.

    Raises:
        Exception: the cause of the last `PutOff`, once the attempts or the time are used up.
    """
    again = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, PutOff)),
        stop=stop_any(stop_after_attempt(attempts), stop_after_delay(LONGEST_S), _AskedForTooMuch()),
        wait=_pause,
        reraise=True,
    )
    try:
        return again(attempt)
    except PutOff as error:
        raise error.cause from None


def _put_off(state: RetryCallState) -> PutOff | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, PutOff) else None


class _AskedForTooMuch(stop_base):
    def __call__(self, state: RetryCallState) -> bool:
        error = _put_off(state)
        return error is not None and (error.retry_after_s or 0.0) > LONGEST_S


def _pause(state: RetryCallState) -> float:
    error = _put_off(state)
    if error is not None and error.retry_after_s is not None:
        return error.retry_after_s
    return float(_growing(state))


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3); None if it says nothing."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
