"""Jobs about a person's own data: from the kept columns to a recommendation, and what if they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.messages import Bell, answer_all, bell, conclusion, submit, view
from tests.builders.uploads import FILE, forget_data, people, upload
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.states import JobState
from whichopt.workers import jobs


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", tick_s=0.02, ring_again_s=0.001)
    return jobs.Context(store, Bell(), settings, worker_name="w1")


ROWS = 180
SPLITS = {
    "random": None,
    "column:part": [2 if row % 4 == 0 else 0 for row in range(ROWS)],
    "group:family": [row // 5 for row in range(ROWS)],
    "time:day": [(row * 7) % ROWS for row in range(ROWS)],
}


@pytest.mark.parametrize("split", SPLITS)
def test_a_job_about_an_upload_reaches_its_recommendation(split: str, context: jobs.Context) -> None:
    data = upload(context.settings.blobs, *people(ROWS), split=split, split_by=SPLITS[split])
    job_id, uid = submit(context, data=data, executor="auto", optimizers=["adamw", "sgd"])
    bell(context).plan(job_id)
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED, view(context, uid).error
    found = conclusion(context, uid)
    assert found.value is not None
    spec = view(context, uid).spec
    assert spec.workload.content == data.content
    assert spec.workload.upload is not None
    assert str(spec.workload.upload.split) == split


@pytest.mark.parametrize("planned", [False, True])
def test_a_job_whose_data_are_gone_fails_in_words(planned: bool, context: jobs.Context) -> None:
    data = upload(context.settings.blobs, *people())
    assert data.content is not None
    job_id, uid = submit(context, data=data, executor="auto")
    if planned:
        jobs.plan_round(context, job_id)
    else:
        bell(context).plan(job_id)
    (context.settings.blobs / data.content).unlink()
    forget_data()
    answer_all(context)
    failed = view(context, uid)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code == "dataset_gone"
    for part in ("'own'", "are gone", data.content, FILE.name):
        assert str(part) in failed.error.detail
