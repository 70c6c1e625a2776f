"""A line of the log says what failed and what to do, and never shows a statement or its values."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from whichopt.service.errors import NotFound
from whichopt.service.failures import failure, in_line
from whichopt.service.logs import OURS

STATEMENT = "UPDATE cohort SET curves = ?"


def of_database(
    message: str, code: int = sqlite3.SQLITE_ERROR, name: str = "SQLITE_ERROR"
) -> sa.exc.DBAPIError:
    """What SQLAlchemy raises if SQLite fails so."""
    cause = sqlite3.OperationalError(message)
    cause.sqlite_errorcode, cause.sqlite_errorname = code, name
    return sa.exc.OperationalError(STATEMENT, {"curves": "private"}, cause)


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    ours = logging.getLogger(OURS)
    before = ours.level
    ours.setLevel(logging.INFO)
    yield
    ours.setLevel(before)


def test_a_known_trouble_is_explained_without_its_statement_and_without_a_traceback() -> None:
    locked = of_database("database is locked", sqlite3.SQLITE_BUSY, "SQLITE_BUSY")
    assert failure(locked) == {
        "error": "another program has locked the database (database is locked); close whatever has it open "
        "(a database browser, a backup), then try again",
        "kind": "OperationalError",
    }


def test_a_full_disk_is_explained() -> None:
    fields = failure(OSError(errno.ENOSPC, "No space left on device"))
    assert fields.keys() == {"error", "kind"}
    assert fields["kind"] == "OSError"
    assert "free space on it" in fields["error"]


def test_an_error_of_ours_says_its_detail() -> None:
    assert failure(NotFound("there is no job x")) == {"error": "there is no job x", "kind": "NotFound"}


def test_what_nobody_expected_comes_with_its_traceback() -> None:
    wrong = of_database('near "UPDTE": syntax error')
    assert failure(wrong) == {
        "error": 'near "UPDTE": syntax error',
        "kind": "OperationalError",
        "exc_info": wrong,
    }
    bug = KeyError("lr")
    assert failure(bug)["exc_info"] is bug


def test_what_is_expected_comes_without_one_unless_all_is_logged() -> None:
    damaged = ValueError("a blob does not have\nits own hash")
    assert failure(damaged, expected=True) == {
        "error": "a blob does not have its own hash",
        "kind": "ValueError",
    }
    logging.getLogger(OURS).setLevel(logging.DEBUG)
    assert failure(damaged, expected=True)["exc_info"] is damaged


def test_an_error_without_a_message_is_named() -> None:
    assert in_line(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("error", [of_database("x" * 1000), ValueError("y" * 1000)])
def test_a_line_is_short(error: Exception) -> None:
    assert len(in_line(error)) <= 300
    assert STATEMENT not in in_line(error)
