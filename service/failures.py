"""Describes an exception in a line of the log: what happened, what to do, and its traceback if that is new.

An error of SQLAlchemy holds the statement and its values, which are pages long and no help to whoever runs
the service, so `str(error)` never goes into the log.
"""

from __future__ import annotations

import logging
from typing import Any

from whichopt.service.errors import WhichoptError
from whichopt.service.logs import OURS
from whichopt.service.storage import storage_trouble


def failure(error: BaseException, *, expected: bool = False) -> dict[str, Any]:
    """Return the fields of a log line about `error`: `error` in one line, and `kind`, its class.

    A traceback comes with it (`exc_info`) if the error is none that can be explained, or at the level DEBUG.

    Args:
        error: the exception.
        expected: True if whoever logs has caught just this kind, so that a traceback would tell nothing new.

    Examples:
        >>> failure(OSError(28, "No space left on device"))["kind"]
        'OSError'
    """
    explained = _explained(error)
    fields: dict[str, Any] = {"error": explained or in_line(error), "kind": type(error).__name__}
    known = expected or explained is not None or isinstance(error, OSError)
    if not known or logging.getLogger(OURS).isEnabledFor(logging.DEBUG):
        fields["exc_info"] = error
    return fields


def in_line(error: BaseException) -> str:
    """Return the message of `error` in one line, without a statement; its class if it has no message."""
    from whichopt.service.db.troubles import sentence  # a worker's parent loads it after its children

    return sentence(error) or type(error).__name__


def _explained(error: BaseException) -> str | None:
    """Return what happened and what to do about it, if this kind of error is known."""
    from whichopt.service.db.troubles import in_short

    if isinstance(error, WhichoptError):
        return error.detail
    if (words := in_short(error)) is not None:
        return words
    disk = storage_trouble(error)
    return None if disk is None else " ".join(disk.detail.split())
