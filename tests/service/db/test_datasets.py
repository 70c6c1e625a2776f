"""The rows of datasets, on both databases: fences, signs of life, previews, and what a job holds."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.builders.datasets import CONTENT, FILE, add_dataset, make_table, states
from tests.builders.jobs import make_spec
from tests.builders.services import Recorder
from whichopt.service import reaper
from whichopt.service.datasets import check_still_there
from whichopt.service.db import IntegrityError, Store
from whichopt.service.db.tables import dataset
from whichopt.service.errors import DatasetNotReady
from whichopt.service.settings import Settings
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import DatasetState
from whichopt.service.uploads import Choices
from whichopt.service.views import DatasetProblem, DatasetProgress

PROBLEM = DatasetProblem(code="unreadable_dataset", detail="row 3 has 4 fields", row=3)


def on_penguins(content: str = CONTENT) -> ResolvedSpec:
    """A spec that names an uploaded dataset of that content."""
    spec = make_spec()
    named = spec.cataloged.dataset.model_copy(update={"name": "penguins"})
    workload = spec.workload.model_copy(
        update={"dataset": named, "content": content, "upload": make_table().upload(FILE)}
    )
    return spec.model_copy(update={"workload": workload})


def test_what_was_found_comes_back_as_it_was(store: Store) -> None:
    add_dataset(store)
    with store.read() as tx:
        row = tx.datasets.named("penguins")
        (summary,) = tx.datasets.page(before=None, limit=10)
        names = tx.datasets.names()
    assert row is not None
    assert (row.view.table, row.view.content, row.view.file) == (make_table(), CONTENT, FILE)
    assert row.view.choices == Choices()
    assert summary.found is not None
    assert (summary.found["rows"], summary.found["task"]) == (100, "classification")
    assert summary.found["sizes"] == {"train": 60, "validation": 20, "test": 20}
    assert names == ["penguins"]


def test_a_name_is_given_once(store: Store) -> None:
    add_dataset(store)
    with pytest.raises(IntegrityError):
        add_dataset(store)


def test_a_keeper_that_was_given_up_writes_nothing(store: Store) -> None:
    lost = add_dataset(store, state=DatasetState.READING)
    with store.transaction() as tx:
        assert tx.datasets.beat(lost, DatasetProgress(bytes=1234, rows=7))
        tx.datasets.remove(lost)
    add_dataset(store, state=DatasetState.READING)
    with store.transaction() as tx:
        assert not tx.datasets.beat(lost, None)
        assert not tx.datasets.finish(lost, make_table(), CONTENT, preview_s=1)
        assert not tx.datasets.fail(lost, PROBLEM)
    assert states(store) == {"penguins": "reading"}


def test_a_preview_goes_when_its_time_is_over(store: Store) -> None:
    add_dataset(store, state=DatasetState.PREVIEW)
    kept = add_dataset(store, "kept", state=DatasetState.PREVIEW)
    with store.transaction() as tx:
        tx.datasets.make_real(kept)
        assert tx.datasets.expire() == 0, "its hour has just begun"
        tx.connection.execute(
            dataset.update().where(dataset.c.name == "penguins").values(expires_at=sa.func.now())
        )
    with store.transaction() as tx:
        assert tx.datasets.expire() == 1
    assert states(store) == {"kept": "ready"}


def test_a_preview_that_is_wanted_while_it_is_read_stays(store: Store) -> None:
    with store.transaction() as tx:
        uid = tx.datasets.add("early", preview=True, file=FILE, choices=Choices(), api_key_id=None)
        tx.datasets.make_real(uid)
        tx.datasets.finish(uid, make_table(), CONTENT, preview_s=1)
    assert states(store) == {"early": "ready"}


def test_what_nobody_reads_any_more_is_told_so(store: Store) -> None:
    add_dataset(store, state=DatasetState.READING)
    with store.transaction() as tx:
        assert tx.datasets.abandon(60, PROBLEM) == 0, "it gave a sign just now"
        assert tx.datasets.abandon(-1, PROBLEM) == 1
    with store.read() as tx:
        row = tx.datasets.named("penguins")
    assert row is not None
    assert (row.view.state, row.view.problem) == (DatasetState.FAILED, PROBLEM)


def test_the_reaper_does_both(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whichopt.service.db.datasets.clock.stale", lambda *_: sa.true())
    add_dataset(store, state=DatasetState.READING)
    reaper.sweep(store, Recorder(), Settings())
    with store.read() as tx:
        row = tx.datasets.named("penguins")
    assert row is not None
    assert row.view.problem is not None
    assert "send it again" in row.view.problem.detail


def test_a_job_is_made_of_what_is_there(store: Store) -> None:
    add_dataset(store)
    with store.transaction() as tx:
        check_still_there(tx, on_penguins())
        with pytest.raises(DatasetNotReady, match="deleted or replaced"):
            check_still_there(tx, on_penguins("d" * 64))
        _, uid = tx.jobs.add(on_penguins(), queue="cpu")
        assert tx.datasets.used_by("penguins", CONTENT) == uid
        assert tx.datasets.contents() == tx.blobs.referenced() == {CONTENT}
    with store.transaction() as tx:
        row = tx.datasets.named("penguins", locks=True)
        assert row is not None
        tx.datasets.remove(row.uid)
        assert tx.blobs.referenced() == {CONTENT}, "the job still refers to it"
        assert tx.datasets.known("penguins")
        assert not tx.datasets.known("pinguins")
