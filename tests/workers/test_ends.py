"""The exit status of a worker's process, and what a signal finds in it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from service.db import Store
from service.db.migrate import upgrade
from tests.waiting import DEADLINE_S
from workers import app
from workers.broker import Broker

FAILS = """
import sys
from workers import app
from workers.__main__ import main

class Broken:
    def __init__(self, *_):
        raise RuntimeError("no thread can be started")

app.Parent = Broken
sys.argv = ["python -m workers", "--processes=1"]
main()
"""


def ends(environment: dict[str, str], *command: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a worker to its end; return its exit status and what it logged."""
    found = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return found.returncode, [json.loads(line) for line in found.stderr.splitlines()]


@pytest.fixture
def environment(tmp_path: Path, broker: Broker) -> dict[str, str]:
    """Of a worker with a broker that is live and a database that is migrated."""
    url = f"sqlite:///{tmp_path / 'whichopt.db'}"
    store = Store(url)
    upgrade(store)
    store.close()
    return {
        "WHICHOPT_DATABASE_URL": url,
        "WHICHOPT_BROKER_URL": broker.url,
        "WHICHOPT_BLOBS": str(tmp_path / "blobs"),
    }


def test_a_worker_that_is_older_than_its_database_ends_with_78(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with closing(sqlite3.connect(tmp_path / "whichopt.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    status, logged = ends(environment, "-m", "workers", "--processes=1")
    assert [line["ends_with"] for line in logged if line["event"] == "cannot_work"] == [78]
    assert status == 78


def test_a_worker_that_cannot_start_ends_with_1(environment: dict[str, str]) -> None:
    status, logged = ends(environment, "-c", FAILS)
    assert "worker_cannot_start" in [line["event"] for line in logged]
    assert status == 1


def test_whoever_ends_a_worker_by_a_signal_gets_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_asked_to_end", False)
    assert [app.exit_status(celerys) for celerys in (None, 0, 1, 78)] == [0, 0, 1, 78]
    app._shutting_down(sender="a worker")
    assert app.exit_status(1) == 0


def test_a_signal_in_the_middle_of_an_import_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the worker waits for its broker: its parent has not imported the database yet."""
    monkeypatch.setattr(app, "_asked_to_end", False)
    monkeypatch.setattr(app, "_parent", None)
    monkeypatch.setitem(sys.modules, "service.db", ModuleType("service.db"))
    app._shutting_down(sender="a worker")
