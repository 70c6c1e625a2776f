"""What confirm keeps by example goes with a job from its workers to its conclusion and its report."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.builders.messages import Bell, answer_all, bell, conclusion, submit
from whichopt.service.db import Store
from whichopt.service.db.tables import example_values, trial
from whichopt.service.evidence.report.document import evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.settings import Settings
from whichopt.service.states import Phase, TrialState
from whichopt.workers import jobs


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", tick_s=0.02, ring_again_s=0.001)
    return jobs.Context(store, Bell(), settings, worker_name="w1")


def test_each_confirm_run_has_them_once_and_the_conclusion_rests_on_them(context: jobs.Context) -> None:
    job_id, uid = submit(context)
    bell(context).plan(job_id)
    answer_all(context, order=random.Random(2), twice=True)
    told = conclusion(context, uid)
    assert told.over_examples is not None
    assert told.over_examples.seeds == told.seeds
    with context.store.read() as tx:
        kept = sa.select(trial.c.phase, trial.c.state).join(example_values)
        complete = sa.select(trial.c.id).where(
            trial.c.phase == Phase.CONFIRM, trial.c.state == TrialState.COMPLETE
        )
        found = [tuple(row) for row in tx.connection.execute(kept)]
        assert found == [(Phase.CONFIRM, TrialState.COMPLETE)] * len(tx.connection.execute(complete).all())
        assert found
        record = tx.records.of_job(uid)
    assert record is not None
    report = evidence(record.facts, record.spec, record.trials, told, record.environments)
    checked = verify(report)
    assert checked.outcome == "confirmed", checked
