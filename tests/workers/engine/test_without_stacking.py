"""What an installation does that lacks the folder `engine/stacked`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.messages import Bell, answer_all, bell, submit, view
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.states import JobState
from whichopt.service.trials import TrialPlan
from whichopt.workers import jobs
from whichopt.workers.engine import probe
from whichopt.workers.engine.executors import NoSuchExecutor
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload import Workload

ROOT = Path(__file__).parents[3]
WITHOUT = """
import whichopt.workers.rerun
from whichopt.workers.engine.agree import agreement
from whichopt.workers.engine.executors import EXECUTORS, STACKING
print(STACKING, list(EXECUTORS), agreement())
"""


def test_the_folder_may_be_left_out(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "whichopt", tmp_path / "whichopt", ignore=shutil.ignore_patterns("stacked"))
    shutil.copytree(ROOT / "adabelief", tmp_path / "adabelief")
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "None ['solo'] bits"


def test_trials_are_trained_one_at_a_time(
    make_workload: Callable[..., Workload],
    make_plan: Callable[..., TrialPlan],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "STACKING", None)
    assert probe.choose(make_workload(), [make_plan()]) == probe.Choice("solo", {})
    with pytest.raises(NoSuchExecutor, match="'stacked' is not part of this installation"):
        probe.costs(make_workload(), [make_plan()], "stacked")


def test_a_job_that_asks_for_a_stack_says_what_is_missing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w0")
    job_id, uid = submit(context, executor="stacked")
    monkeypatch.setattr(jobs, "EXECUTORS", {"solo": SoloExecutor})
    bell(context).plan(job_id)
    answer_all(context)
    failed = view(context, uid)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert "executor 'stacked' is not part of this installation" in failed.error.detail
