"""No line of the log holds an SQL statement or its values, whatever exception it tells of."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
import structlog

from whichopt.service import logs
from whichopt.service.db import IntegrityError, Store

log = structlog.get_logger()

SECRET = "what [a]\nperson] sent"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[io.StringIO, Terminal], ids=["JSON", "terminal"])
def stream(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream: io.StringIO = request.param()
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    for hook in ("excepthook", "unraisablehook", "stderr"):
        monkeypatch.setattr(sys, hook, stream if hook == "stderr" else getattr(sys, hook))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    level = logging.getLogger(logs.OURS).level
    logs.configure("INFO")
    yield stream
    logging.getLogger(logs.OURS).setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def _refused(*, hide_parameters: bool = False) -> IntegrityError:
    engine = sa.create_engine("sqlite://", hide_parameters=hide_parameters)
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TABLE kept (name TEXT UNIQUE)"))
        insert = sa.text("INSERT\nINTO kept (name)\n\nVALUES (:name) /* [x]\n */")
        connection.execute(insert, {"name": SECRET})
        with pytest.raises(IntegrityError) as refused:
            connection.execute(insert, {"name": SECRET})
    engine.dispose()
    return refused.value


def _alone() -> None:
    log.error("alone", exc_info=_refused())


def _hidden() -> None:
    log.error("hidden", exc_info=_refused(hide_parameters=True))


def _of_a_library() -> None:
    error = _refused()
    logging.getLogger("celery").error("a library's", exc_info=(type(error), error, error.__traceback__))


def _chained() -> None:
    try:
        try:
            raise _refused()
        except IntegrityError as error:
            raise RuntimeError("what came of it") from error
    except RuntimeError:
        log.exception("chained")


def _quoted() -> None:
    log.error("quoted", exc_info=RuntimeError(f"what came of it: {_refused()}"))


def _grouped() -> None:
    log.error("grouped", exc_info=ExceptionGroup("several", [_refused(), ValueError("another")]))


def _by_its_column() -> None:
    """An error of SQLAlchemy's own, which has no link to an explanation."""
    error = sa.exc.StatementError("no such type", "INSERT INTO kept", {"name": SECRET}, ValueError("bad"))
    log.error("by its column", exc_info=error)


@pytest.mark.parametrize(
    "tell",
    [_alone, _hidden, _of_a_library, _chained, _quoted, _grouped, _by_its_column],
    ids=lambda f: f.__name__,
)
def test_a_traceback_has_neither_statement_nor_values(tell: Callable[[], None], stream: io.StringIO) -> None:
    tell()
    told = stream.getvalue()
    for part in ("INSERT", "INTO kept", "[SQL", "[parameters", "hidden due", "person]", "VALUES"):
        assert part not in told
    for part in {
        _by_its_column: ["no such type"],
        _grouped: ["UNIQUE constraint failed: kept.name", "ValueError: another"],
        _chained: ["UNIQUE constraint failed: kept.name", "RuntimeError: what came of it", "direct cause"],
    }.get(tell, ["UNIQUE constraint failed: kept.name"]):
        assert part in told


def test_errors_of_the_store_do_not_have_the_values(store: Store) -> None:
    with pytest.raises(sa.exc.DBAPIError) as refused, store.transaction() as tx:
        tx.connection.execute(sa.text("SELECT :name FROM nowhere"), {"name": SECRET})
    assert refused.value.hide_parameters
    assert "person" not in str(refused.value)
