"""A disk that is full, read-only or broken: told as what it is on every route; nothing is half-written."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from tests.builders.concluded_jobs import BODY, concluded_job
from tests.builders.services import KEY
from whichopt.service import blobs, logs
from whichopt.service.db import DatabaseError, Store, passes
from whichopt.service.errors import StorageBroken, StorageFull, StorageReadOnly
from whichopt.service.storage import storage_trouble
from whichopt.service.views import Problem

FILLED = {**BODY, "name": "n" * 100}


def problem(answer: Any) -> Problem:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    found = Problem.model_validate(answer.json())
    assert found.status == answer.status_code
    return found


def limit_pages(store: Store) -> Callable[[], None]:
    """Let the database grow no further, as on a full disk; return what gives the space back."""

    def limit(connection: Any, _: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    store.engine.dispose()
    sa.event.listen(store.engine, "connect", limit)

    def free() -> None:
        sa.event.remove(store.engine, "connect", limit)
        store.engine.dispose()

    return free


@pytest.fixture
def full(lite: Store) -> Iterator[Callable[[], None]]:
    """The database of `http` on a full disk; call it for space."""
    free = limit_pages(lite)
    yield free
    if sa.event.contains(lite.engine, "connect", free):
        free()


def test_a_full_database_is_said_and_takes_the_job_once_there_is_space(
    http: TestClient, full: Callable[[], None]
) -> None:
    answers = [http.post("/v1/jobs", json=FILLED) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert refused, "the last pages have some room, but not for 30 jobs"
    for answer in refused:
        found = problem(answer)
        assert (found.status, found.code) == (503, "storage_full")
        for words in ("database or disk is full", "free space", "Nothing is half-written"):
            assert words in found.detail
    taken = len(answers) - len(refused)
    assert len(http.get("/v1/jobs?limit=100").json()["items"]) == taken, "all or nothing of each"
    assert http.get("/").status_code == 200
    full()
    assert http.post("/v1/jobs", json=FILLED).status_code == 202


def test_a_database_that_cannot_be_written_is_said(http: TestClient, lite: Store) -> None:
    def only_read(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA query_only=ON")

    lite.engine.dispose()
    sa.event.listen(lite.engine, "connect", only_read)
    found = problem(http.post("/v1/jobs", json=BODY))
    assert (found.status, found.code) == (503, "storage_read_only")
    assert "attempt to write a readonly database" in found.detail


def test_what_may_only_be_read_is_told_of_by_both_databases(store: Store) -> None:
    if store.url.get_backend_name() == "sqlite":
        sa.event.listen(store.engine, "connect", lambda each, _: each.execute("PRAGMA query_only=ON"))
        store.engine.dispose()
    with pytest.raises(DatabaseError) as raised, store.read() as tx:  # on PostgreSQL, as on a replica
        tx.keys.ensure(KEY, name="test")
    assert isinstance(storage_trouble(raised.value), StorageReadOnly)
    assert passes(raised.value)


@pytest.mark.parametrize("statement", ["SELECT no_such FROM job", "SELECT 1 FROM no_such", "SELEC 1"])
def test_a_wrong_statement_does_not_pass(statement: str, store: Store) -> None:
    """Who waits for what cannot come would wait for ever."""
    with pytest.raises(DatabaseError) as raised, store.read() as tx:
        tx.connection.execute(sa.text(statement))
    assert not passes(raised.value)


SYSTEM = {
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EROFS: StorageReadOnly,
    errno.EIO: StorageBroken,
}


@pytest.mark.parametrize("number", SYSTEM)
def test_what_the_system_says_of_a_disk_is_told_on_a_route_and_in_middleware(
    number: int, http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(number, "so it is")

    def fail(*_: object, **__: object) -> None:
        raise error

    _, uid = concluded_job(lite)
    client = TestClient(http.app, headers={"X-API-Key": KEY}, raise_server_exceptions=False)
    for place, path in [
        ("whichopt.service.routes.results.tempfile.mkdtemp", f"/v1/jobs/{uid}/studies.db"),
        ("whichopt.service.evidence.report.html.render_html", f"/v1/jobs/{uid}/report"),
        ("whichopt.service.db.view_reader.ViewReader.jobs", "/v1/jobs"),
        ("whichopt.service.routes.negotiation.accepts_gzip", "/v1/jobs"),  # in the middleware that compresses
        ("whichopt.service.routes.access.sent_key", "/v1/jobs"),  # in the gate
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(place, fail)
            found = problem(client.get(path))
        assert (found.status, found.code) == (503, SYSTEM[number].code), place
        assert "so it is" in found.detail


@pytest.mark.parametrize(
    "place",
    [
        "whichopt.service.db.view_reader.ViewReader.jobs",
        "whichopt.service.routes.negotiation.accepts_gzip",
        "whichopt.service.routes.access.sent_key",
        "whichopt.service.routes.body.Headers.get",
    ],
)
def test_the_unexpected_is_a_problem_everywhere_also_if_no_log_can_be_written(
    place: str, http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    client = TestClient(http.app, headers={"X-API-Key": KEY}, raise_server_exceptions=False)
    monkeypatch.setattr(place, fail)
    with Path("/dev/full").open("w") as no_space:
        handler = logs.Lines(no_space)
        monkeypatch.setattr("whichopt.service.routes.problems.log.error", _logged_by(handler), raising=False)
        found = problem(client.get("/v1/jobs"))
        assert handler.lost == 1
    assert (found.status, found.code) == (500, "internal")
    assert "secret" not in found.detail


def _logged_by(handler: logs.Lines) -> Callable[..., None]:
    def error(event: str, **_: object) -> None:
        handler.handle(logging.makeLogRecord({"msg": event, "levelname": "ERROR"}))

    return error


def test_causes_are_found_however_they_are_wrapped() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    wrapped = RuntimeError("the compiler failed")
    wrapped.__cause__ = ValueError("its cache")
    wrapped.__cause__.__cause__ = full
    assert isinstance(storage_trouble(wrapped), StorageFull)
    full.__cause__ = wrapped  # a circle ends
    assert isinstance(storage_trouble(wrapped), StorageFull)
    no_folder = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    assert isinstance(storage_trouble(no_folder), StorageFull)
    for other in (
        FileNotFoundError(errno.ENOENT, "No such file"),
        ValueError("x"),
        PermissionError(13, "no"),
    ):
        assert storage_trouble(other) is None


def test_a_blob_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    for attempt in (lambda: blobs.save(tmp_path, b"x"), lambda: blobs.check(tmp_path)):
        with pytest.raises(OSError, match="No space"):
            attempt()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    blobs.check(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_event_stream_ends_if_the_disk_fails_under_it(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, uid = concluded_job(lite)

    def fail(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("disk I/O error"))

    with capture_logs() as logged:
        monkeypatch.setattr("whichopt.service.routes.events._news", fail)
        answer = http.get(f"/v1/jobs/{uid}/events")
    assert (answer.status_code, answer.text) == (200, "")
    assert [line["event"] for line in logged] == ["events_broken"]
