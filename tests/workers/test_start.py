"""A worker starts while its home still migrates the database."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from celery.worker import state

from tests.builders.waiting import DEADLINE_S
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.db.standing import Standing, standing
from whichopt.workers import standby


@pytest.fixture
def bare(tmp_path: Path) -> Store:
    """A database without tables."""
    return Store(f"sqlite:///{tmp_path / 'bare.db'}")


def test_no_message_is_taken_before_the_database_is_migrated(
    bare: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    answers: list[bool] = []

    def looks(store: Store) -> Standing:
        found = standing(store)
        looked.set()
        return found

    monkeypatch.setattr("whichopt.service.db.standing.standing", looks)
    waiting = threading.Thread(
        target=lambda: answers.append(standby.database_is_current(bare, state)), daemon=True
    )
    waiting.start()
    assert looked.wait(timeout=DEADLINE_S), "it has looked once, and looks again"
    assert answers == []
    upgrade(bare)
    waiting.join(timeout=DEADLINE_S)
    assert answers == [True]
    bare.close()


def test_a_worker_that_waits_can_be_stopped(bare: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "should_stop", 0)
    assert standby.database_is_current(bare, state) is False
    bare.close()
