"""A job goes on by the rules that it began with; a worker leaves those that it does not know to another."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from tests.builders.messages import SPEC, Bell, answer_all, bell, conclusion, view
from tests.builders.present import present
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import JobState
from whichopt.service.versions import RULES
from whichopt.workers import jobs


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    return jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w1")


def begun(context: jobs.Context, rules: int) -> tuple[int, str]:
    spec = resolve(JobSpec.model_validate({**SPEC, "executor": "solo"}))
    with context.store.transaction() as tx:
        return tx.jobs.add(spec.model_copy(update={"rules": rules}), queue="cpu")


@pytest.mark.parametrize("rules", range(1, RULES + 1))
def test_a_job_ends_by_the_rules_it_began_with(context: jobs.Context, rules: int) -> None:
    job_id, uid = begun(context, rules)
    jobs.plan_round(context, job_id)
    answer_all(context)
    found = conclusion(context, uid)
    assert (found.rules, view(context, uid).spec.rules) == (rules, rules)
    assert (present(found.stage).first is None) == (rules == 1)


def test_newer_rules_are_left_to_a_newer_worker(context: jobs.Context) -> None:
    job_id, uid = begun(context, RULES + 1)
    with structlog.testing.capture_logs() as logs:
        jobs.plan_round(context, job_id)
    assert not bell(context).rung
    assert view(context, uid).state is JobState.QUEUED
    (said,) = [line for line in logs if line["event"] == "newer_rules"]
    assert said["job"] == uid
    assert (said["rules"], said["known"]) == (RULES + 1, RULES)
    assert "Upgrade the workers" in said["detail"]
