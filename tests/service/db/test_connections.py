"""Fewer connections than processes: bounded, waited for, given back, and told apart from a database away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from tests.builders.databases import Postgres
from tests.builders.services import KEY, Recorder
from tests.builders.waiting import wait_until
from whichopt.service.app import create_app
from whichopt.service.db import Store, connections
from whichopt.service.db.connections import NoConnection
from whichopt.service.db.troubles import UNREACHABLE, trouble
from whichopt.service.ids import new_uid
from whichopt.service.settings import Settings

LIMIT = 3


@pytest.fixture
def owner(postgres: Postgres) -> Iterator[Store]:
    """The database, by a user without limits."""
    store = Store(postgres.database())
    with store.transaction() as tx:
        tx.keys.ensure(KEY, name="test")
    yield store
    store.close()


@pytest.fixture
def limited(owner: Store) -> Iterator[Callable[..., Store]]:
    """Makes stores whose user may have LIMIT connections, all stores together."""
    name = f"limited_{new_uid()[-12:]}"
    with owner.transaction() as tx:
        for statement in (
            f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {LIMIT}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}",
        ):
            tx.connection.execute(sa.text(statement))
    made: list[Store] = []

    def make(**options: Any) -> Store:
        url = owner.url.set(username=name)
        made.append(Store(url.render_as_string(hide_password=False), **options))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WAIT_S", 0.2)


def others(owner: Store) -> int:
    """Connections to the database but for this one."""
    with owner.read() as tx:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename <> user"
        return int(tx.connection.execute(sa.text(query)).scalar_one())


@pytest.mark.usefixtures("hurried")
def test_a_request_that_gets_no_connection_is_told_that_there_is_none(
    limited: Callable[..., Store], settings: Settings
) -> None:
    held = [limited().engine.connect() for _ in range(LIMIT)]
    app = create_app(settings, limited(), Recorder())
    http = TestClient(app, headers={"X-API-Key": KEY})
    for path in ("/readyz", "/v1/jobs", "/metrics"):
        answer = http.get(path)
        assert answer.status_code == 503, answer.text
        problem = answer.json()
        assert "the database has no free connection" in problem["detail"]
        assert [error["field"] for error in problem["errors"]] == ["database"]
    for one in held:
        one.close()
        one.engine.dispose()
    with http:  # with its reaper, without which nothing is ready
        assert http.get("/readyz").status_code == 200


def test_who_finds_no_connection_waits_for_one(
    limited: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [limited(keep=0).engine.connect() for _ in range(LIMIT)]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if held:
            held.pop().close()

    monkeypatch.setattr(time, "sleep", sleep)
    with limited(keep=0).read() as tx:
        assert tx.workers.live(10) == {}
    assert pauses
    assert all(0 < pause <= connections.WAIT_S for pause in pauses)
    for one in held:
        one.close()


@pytest.mark.usefixtures("hurried")
def test_a_process_has_no_more_connections_than_it_is_given(store: Store, database_url: str) -> None:
    bounded = Store(database_url, connections=2)
    with bounded.read(), bounded.read():
        with pytest.raises(NoConnection, match="all 2 database connections of this process"), bounded.read():
            pass
        with store.read() as tx:
            tx.now()
    with bounded.read(), bounded.read() as tx:
        tx.now()
    bounded.close()


@pytest.mark.parametrize(("keep", "left"), [(0, 0), (2, 2)])
def test_connections_are_given_back(
    limited: Callable[..., Store], owner: Store, keep: int, left: int
) -> None:
    used = limited(connections=LIMIT, keep=keep)
    together = Barrier(LIMIT)

    def use(_: int) -> None:
        with used.read() as tx:
            tx.now()
            together.wait(timeout=60)

    with ThreadPoolExecutor(LIMIT) as threads:
        list(threads.map(use, range(LIMIT)))
    wait_until(lambda: others(owner) == left, f"{left} connections that stay open")


def test_a_connection_that_the_server_has_closed_is_replaced(
    limited: Callable[..., Store], owner: Store
) -> None:
    store = limited(keep=2)
    with store.read() as tx:
        tx.now()
    with owner.transaction() as tx:
        tx.connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename <> user"
            )
        )
    wait_until(lambda: others(owner) == 0, "the end of the other connections")
    with store.read() as tx:
        tx.now()


def test_another_trouble_with_the_database_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(_: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr(time, "sleep", sleep)
    store = Store("postgresql+psycopg://nobody@/nothing?host=/nowhere/at/all")
    with pytest.raises(sa.exc.OperationalError) as error, store.read():
        pass
    assert trouble(error.value) is UNREACHABLE
    store.close()
