"""The app over a real SQLite database, with a dispatcher that only notes what it was asked for, and
a reader of simple files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.builders.datasets import READER
from tests.builders.services import KEY, Recorder
from tests.builders.serving import served
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key, upgrade
from whichopt.service.settings import Settings


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with this version's tables and one key."""
    path = tmp_path_factory.mktemp("migrated") / "template.db"
    store = Store(f"sqlite:///{path}")
    upgrade(store)
    ensure_key(store, KEY)
    store.close()
    return path


@pytest.fixture
def lite(migrated: Path, tmp_path: Path) -> Iterator[Store]:
    """A new SQLite database that knows KEY."""
    shutil.copy(migrated, tmp_path / "doors.db")
    store = Store(f"sqlite:///{tmp_path / 'doors.db'}")
    yield store
    store.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(events_s=0.02, reap_s=600, max_body_bytes=60_000, blobs=tmp_path / "blobs")


@pytest.fixture
def dispatcher() -> Recorder:
    return Recorder()


@pytest.fixture
def app(settings: Settings, lite: Store, dispatcher: Recorder) -> FastAPI:
    return create_app(settings, lite, dispatcher, reader=READER)


@pytest.fixture
def http(app: FastAPI) -> Iterator[TestClient]:
    """Sends KEY; an exception that no handler took fails the test."""
    with TestClient(app, headers={"X-API-Key": KEY}, follow_redirects=False) as client:
        yield client


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """Where the app answers, for clients that need a socket."""
    with served(app) as address:
        yield address
