"""What a large job costs its readers: a small one, measured to the last row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.readers.__main__ import RequestCost, main
from benchmarks.readers.job import make, spec_of, train
from tests.builders.studies import run
from whichopt.service.db import Store
from whichopt.service.states import JobState, TrialState

READERS = {
    "forecast, in confirm",
    "forecast, at the end",
    "page of jobs, /",
    "job view",
    "all trials",
    "report, HTML",
    "report, JSON",
    "events from the start",
    "studies.db",
}


def test_the_job_has_about_as_many_trials_as_asked_for() -> None:
    spec = spec_of(5000)
    assert len(spec.labels) == 12
    confirm = 12 * 4 * spec.budget.confirm_seeds
    assert 12 * (spec.budget.trials or 0) + confirm == pytest.approx(5000, abs=12 * 3)


def test_the_results_are_made_up_alike_in_every_run_and_of_all_kinds() -> None:
    spec = spec_of(840)
    (first, *_) = run(spec, stop_after=2, train=lambda plan: train(spec, plan))
    plans = [plan for cohort in first for plan in cohort]
    results = [train(spec, plan) for plan in plans]
    assert results == [train(spec, plan) for plan in plans]
    assert {result.state for result in results} == {TrialState.COMPLETE, TrialState.DIVERGED}
    whole = [result for result in results if result.state is TrialState.COMPLETE]
    assert {len(curve) for result in whole for curve in result.curves.values()} == {20}
    assert {tuple(result.curves) for result in whole} == {
        ("train.loss", "validation.nll", "validation.accuracy")
    }


def test_the_job_is_stored_in_the_middle_of_confirm_and_at_its_end(tmp_path: Path) -> None:
    made = make(tmp_path, 1)
    for database, state in ((made.running, JobState.RUNNING), (made.ended, JobState.SUCCEEDED)):
        store = Store(f"sqlite:///{database}")
        with store.read() as tx:
            job = tx.views.job(made.uid, alive_s=1)
        store.close()
        assert job is not None
        assert job.state is state
        if state is JobState.SUCCEEDED:
            assert job.progress.trials_done == made.trials


@pytest.mark.slow
def test_the_command_measures_every_reader(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.readers.__main__.LATER", 1)
    main(["--trials", "1", "--limit", "280", "--json", str(tmp_path / "found.json")])
    figures = json.loads((tmp_path / "found.json").read_text())
    assert figures["yardstick_s"] > 0
    costs = [RequestCost(**cost) for cost in figures["costs"]]
    assert {cost.reader for cost in costs} >= READERS
    shown = capsys.readouterr().out
    for cost in costs:
        assert cost.reader in shown
        assert cost.seconds is not None, f"{cost.reader} took more than {cost.limit_s:g} s"
        assert cost.seconds > 0
        assert cost.ratio > 0
        assert cost.bytes
