"""Pages over PostgreSQL, which refuses texts that SQLite takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.databases import Postgres
from tests.builders.datasets import READER
from tests.builders.jobs import make_spec
from tests.builders.races import racing_job
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key
from whichopt.service.settings import Settings

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def store(postgres: Postgres) -> Store:
    store = Store(postgres.database())
    ensure_key(store, KEY)
    return store


@pytest.fixture
def http(store: Store, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(Settings(reap_s=600, blobs=tmp_path / "blobs"), store, Recorder(), reader=READER)
    with TestClient(app, headers={"X-API-Key": KEY}, follow_redirects=False) as client:
        yield client


def test_every_page_of_jobs_is_read(http: TestClient, store: Store) -> None:
    _, done = concluded_job(store, make_spec(name="100% of it_"))
    _, runs = racing_job(store, done=30, running=4)
    for address in (
        "/",
        "/?show=winner",
        "/?show=unclear",
        "/?q=ADAMW digits",
        f"/rows?job={done}&job={runs}",
        f"/compare?job={done}&job={runs}",
        f"/jobs/{runs}",
        f"/jobs/{runs}/space",
        f"/jobs/{runs}/figures/best-so-far?against=seconds",
        f"/jobs/{done}",
        f"/jobs/{done}/sure",
        f"/jobs/{done}/more",
        f"/new?from={done}",
        "/catalog",
        "/catalog/optimizers/adabelief",
        "/datasets",
        "/functions",
        "/plugins",
    ):
        assert http.get(address).status_code == 200, address
    assert f"job-{done}" in http.get("/", params={"q": "100% it_"}).text
    assert f"job-{done}" not in http.get("/", params={"q": "1_0%"}).text, "no wildcards"


def test_a_nul_character_is_refused_in_words(http: TestClient) -> None:
    for address in ("/?q=%00", "/rows?job=%00", "/jobs/%00", "/datasets/%00", "/new?dataset=%00"):
        answer = http.get(address)
        assert answer.status_code == 422, address
        assert "NUL character" in answer.json()["detail"]
    assert http.get("/v1/jobs", params={"q": "\0"}).status_code == 422
    assert http.post("/new/check", content="kind=catalog&dataset=%00", headers=FORM).status_code == 422
    spec = {"workload": {"dataset": "\0", "model": "mlp"}}
    assert http.post("/v1/jobs", json=spec).status_code == 422
