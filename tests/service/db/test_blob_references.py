"""Blobs are kept by reference: what a marked column of any table names stays, and no column is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.concluded_jobs import concluded_job
from tests.builders.datasets import add_dataset
from tests.builders.jobs import add_job, add_round, beat, finish, must_claim
from whichopt.service import blobs, reaper
from whichopt.service.db import Store
from whichopt.service.db.blobs import COLUMNS
from whichopt.service.db.tables import metadata
from whichopt.service.settings import Settings

BLOB_NAME_LENGTH = 64
"""SHA-256 in hexadecimal."""

NO_BLOBS = {
    "api_key.name",
    "api_key.digest",
    *(f"job.{name}" for name in ("name", "task", "dataset", "model", "recommended")),
    *(f"job.{name}" for name in ("function", "metric", "queue")),
    *(f"job.{name}" for name in ("spec", "probe", "error", "recommendation", "odds", "summary")),
    *(f"job.{name}" for name in ("idempotency_key", "body_digest")),
    "job_words.words",
    "tally.label",
    "study.label",
    "study.optimizer",
    *(f"cohort.{name}" for name in ("worker", "environment", "progress", "lost")),
    *(f"trial.{name}" for name in ("label", "plan", "result")),
    *(f"dataset.{name}" for name in ("name", "file", "choices", "progress", "problem", "found")),
    "forecast.content",
    "report.renderer",
    "report.error",
    "cohort.queue",
    *(f"worker.{name}" for name in ("name", "queue", "functions", "plugins")),
}
"""Columns in which a blob's name would have room, and which hold something else."""


def _has_room(kind: Any) -> bool:
    if isinstance(kind, sa.String):
        return kind.length is None or kind.length >= BLOB_NAME_LENGTH
    return isinstance(kind, sa.JSON)


def test_every_column_with_room_for_a_blobs_name_says_if_it_holds_one() -> None:
    """A new column is marked with `info=BLOB`, or stands in `NO_BLOBS` above: else its blobs are removed."""
    room = {str(column) for table in metadata.tables.values() for column in table.c if _has_room(column.type)}
    marked = {str(column) for column in COLUMNS}
    assert marked == {
        "cohort.checkpoint",
        "dataset.content",
        "job.content",
        "report.examples",
        "report.html",
        "report.json",
    }
    assert room - marked == NO_BLOBS


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings over an empty folder, of which every orphan is old enough to be removed."""
    monkeypatch.setattr(reaper, "ORPHAN_S", -1.0)
    return Settings(blobs=tmp_path / "blobs")


def _names(settings: Settings) -> set[str]:
    return {file.name for file in settings.blobs.iterdir()}


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_what_a_marked_column_names_is_kept(store: Store, settings: Settings, column: Any) -> None:
    concluded_job(store)
    running, _ = add_job(store)
    add_round(store, running)
    add_dataset(store)
    named = blobs.save(settings.blobs, f"named by {column}".encode())
    blobs.save(settings.blobs, b"named by nobody")
    with store.transaction() as tx:
        written = tx.connection.execute(column.table.update().values({column: named}))
        assert written.rowcount, f"make a row of {column.table} above"
    reaper.collect(store, settings)
    assert _names(settings) == {named}


def test_a_checkpoint_is_kept_until_its_cohort_has_ended(store: Store, settings: Settings) -> None:
    job_id, _ = add_job(store)
    first, second = (must_claim(store, cohort_id) for cohort_id in add_round(store, job_id))
    ended, running = (blobs.save(settings.blobs, state) for state in (b"first", b"second"))
    for claimed, name in ((first, ended), (second, running)):
        with store.transaction() as tx:
            tx.cohorts.beat(claimed, lease_s=60, examples=1, curves={}, checkpoint=name)
    reaper.collect(store, settings)
    assert _names(settings) == {ended, running}
    finish(store, first)
    beat(store, second)
    reaper.collect(store, settings)
    assert _names(settings) == {running}, "the row of the ended cohort still has its checkpoint's name"


def test_a_volumes_own_folder_stops_no_collection(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    orphans = [blobs.save(tmp_path, content) for content in (b"a", b"b", b"c")]
    assert blobs.collect(tmp_path, (), older_than_s=-1) == len(orphans)
    assert [file.name for file in tmp_path.iterdir()] == ["lost+found"]


def test_two_may_collect_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the other one removes between the listing and the look at its age is nobody's fault."""
    for content in (b"a", b"b", b"c"):
        blobs.save(tmp_path, content)
    real = Path.stat

    def stat(self: Path, **options: Any) -> Any:
        if self.parent == tmp_path:
            self.unlink()
        return real(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert blobs.collect(tmp_path, set(), older_than_s=-1) == 0
