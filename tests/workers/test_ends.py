"""The exit status of a worker's process, and what a signal finds in it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.builders.waiting import DEADLINE_S
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.workers import app
from whichopt.workers.embedded.broker import Broker
from whichopt.workers.identity import Identity

FAILS = """
import sys
from whichopt.workers import app
from whichopt.workers.__main__ import main

class Broken:
    def __init__(self, *_):
        raise RuntimeError("no thread can be started")

app.Parent = Broken
sys.argv = ["python -m whichopt.workers", "--processes=1"]
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
    status, logged = ends(environment, "-m", "whichopt.workers", "--processes=1")
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
    monkeypatch.setitem(sys.modules, "whichopt.service.db", ModuleType("whichopt.service.db"))
    app._shutting_down(sender="a worker")


def test_a_worker_without_its_broker_says_what_it_waits_for_and_ends_in_peace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "whichopt.workers", "--processes=1"]
    environment = {
        **os.environ,
        "WHICHOPT_DATABASE_URL": f"sqlite:///{tmp_path / 'nothere.db'}",
        "WHICHOPT_BROKER_URL": "redis://:secret@127.0.0.1:9/0",
        "WHICHOPT_BLOBS": str(tmp_path / "blobs"),
    }
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    logged = []
    for line in process.stderr:
        logged.append(json.loads(line))
        if logged[-1]["event"] == "waits":
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    away = next(line for line in logged if line["event"] == "broker_out_of_reach")
    assert "there is no such file; run 'whichopt migrate'" in away["database"]
    assert "the broker redis://:**@127.0.0.1:9/0 does not answer" in logged[-1]["waits_for"]
    assert not (tmp_path / "nothere.db").exists()
    told = "\n".join([*(json.dumps(line) for line in logged), rest])
    for never in ("Traceback", "raised", "secret", "[SQL", "sqlalche.me"):
        assert never not in told
    assert "broker_out_of_reach" not in rest


@pytest.mark.parametrize("what", ["stopping_not_told", "end_not_told", "agreement_not_told"])
def test_what_a_database_that_is_away_was_not_told_is_logged_in_our_words(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'bare.db'}")
    monkeypatch.setattr(app, "_store", store)
    monkeypatch.setattr(app, "identity", lambda: Identity("w1", "cpu", 1))
    monkeypatch.setattr(app, "_agreement_told", False)
    parent = app.Parent.__new__(app.Parent)
    parent.presence = app.Presence("w1", "cpu", 1)
    monkeypatch.setattr(parent.presence, "stop", lambda: None)
    parent.reaper = parent.presence  # type: ignore[assignment]
    does = {
        "stopping_not_told": parent.tell_stopping,
        "end_not_told": parent.end,
        "agreement_not_told": app._tell_agreement,
    }
    with capture_logs() as logged:
        does[what]()
    (line,) = [line for line in logged if line["event"] == what]
    assert "run 'whichopt migrate'" in line["error"]
    assert "SQL:" not in line["error"]
    assert "sqlalche.me" not in line["error"]
    store.close()
