"""Jobs about a person's own images: to a recommendation, and what if their folder has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.images import encoded, files, folder_of, picture
from tests.builders.messages import Bell, answer_all, bell, conclusion, submit, view
from tests.builders.uploads import FILE, forget_data
from whichopt.service.catalog.datasets import DatasetEntry, uploaded
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.states import JobState
from whichopt.service.uploads import Choices
from whichopt.workers import jobs
from whichopt.workers.intake.taken import take


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    blobs, root = tmp_path / "blobs", tmp_path / "root"
    blobs.mkdir()
    folder_of(root / "own", files(each=20))
    settings = Settings(blobs=blobs, data_root=root, tick_s=0.02, ring_again_s=0.001)
    return jobs.Context(store, Bell(), settings, worker_name="w1")


@pytest.fixture
def data(context: jobs.Context) -> DatasetEntry:
    """The folder as the service keeps it."""
    root, blobs = context.settings.data_root, context.settings.blobs
    assert root is not None
    found = take(root / "own", "folder", Choices())
    part, content = found.keep(blobs)
    part.rename(blobs / content)
    return uploaded("own", found.table, FILE, content)


def test_a_job_about_a_folder_reaches_its_recommendation(context: jobs.Context, data: DatasetEntry) -> None:
    job_id, uid = submit(context, data=data, executor="auto", optimizers=["adamw", "sgd"], batch_size=8)
    bell(context).plan(job_id)
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED, view(context, uid).error
    assert conclusion(context, uid).value is not None


def test_a_job_whose_folder_changed_fails_in_words(context: jobs.Context, data: DatasetEntry) -> None:
    job_id, uid = submit(context, data=data, executor="auto", batch_size=8)
    jobs.plan_round(context, job_id)
    root = context.settings.data_root
    assert root is not None
    (root / "own" / "light" / "7.png").write_bytes(encoded(picture(99)))
    forget_data()
    answer_all(context)
    failed = view(context, uid)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code == "dataset_gone"
    assert "folder:own is not as it was" in failed.error.detail
    assert "light/7.png is another file" in failed.error.detail
