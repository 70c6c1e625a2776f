"""A job whose labels search the batch size and the schedule, from the door to the uses of its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders.messages import Bell, answer_all, bell, submit, view
from tests.builders.present import present
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.settings import Settings
from whichopt.service.spec import TODAY
from whichopt.service.states import JobState, TrialState
from whichopt.workers import jobs
from whichopt.workers.arms import compare
from whichopt.workers.audit import audit
from whichopt.workers.fit import fit
from whichopt.workers.rerun import rerun

MENU: dict[str, Any] = {
    "batch_size": {"type": "categorical", "choices": [16, 32, 53]},
    "schedule": {"type": "categorical", "choices": ["cosine", "constant"]},
    "warmup": {"type": "float", "low": 0.0, "high": 0.3},
}
JOB: dict[str, Any] = {
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "mlp"}},
    "optimizers": [
        {"name": "adam", "space": MENU},
        {"name": "sgd", "label": "growing", "space": {"batch_size": {"adaptive": "norm", "micro": 4}}},
        {"name": "adadagradnorm", "space": {"batch_start": 16, "batch_micro": 4, "batch_max": 53}},
    ],
    "today": {"name": "sgd", "config": {"lr": 0.05, "batch_size": 24, "schedule": "linear"}},
    "budget": {"trials": 12, "replicates": 2, "epochs": 4, "confirm_seeds": 3},
    "executor": "auto",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of JOB, as a worker's process leaves it in the database."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("job")
    store = Store(f"sqlite:///{folder / 'whichopt.db'}")
    upgrade(store)
    context = jobs.Context(store, Bell(), Settings(blobs=folder / "blobs"), worker_name="w1")
    job_id, uid = submit(context, **JOB)
    bell(context).plan(job_id)
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED, view(context, uid).error
    with store.read() as tx:
        found = present(tx.records.of_job(uid))
        shown = tx.views.trials(job_id, limit=1000).items
    store.close()
    assert all(("batch_size" in one.config) == (one.optimizer in ("adam", TODAY)) for one in shown)
    return evidence(found.facts, found.spec, found.trials, present(found.recommendation), found.environments)


def test_each_trial_is_trained_as_its_config_says(report: Report) -> None:
    sizes: dict[str, set[int]] = {}
    for trial in report.trials:
        plan, result = trial.plan, present(trial.result)
        assert plan.training == report.spec.training_of(plan.label, plan.config)
        sizes.setdefault(plan.label, set()).add(plan.training.batch_size)
        grows = plan.training.growing is not None
        assert ("train.batch_size" in result.curves) == (grows and bool(result.curves))
        if not grows and result.state is TrialState.COMPLETE:
            assert result.steps == plan.training.steps(0, plan.length)
    assert len(sizes["adam"]) > 1
    assert sizes[TODAY] == {24}
    assert sizes["growing"] == sizes["adadagradnorm"] == {4}


def test_what_is_recommended_says_how_it_was_trained(report: Report) -> None:
    told = report.recommendation
    for row in told.ranking:
        own = {name for name in row.config if name.startswith("batch") or name in ("schedule", "warmup")}
        grows = {"batch_eta", "batch_start", "batch_growth", "batch_max", "batch_micro"}
        assert own == ({"batch_size", "schedule", "warmup"} if row.optimizer == "adam" else grows)
    assert "favors the optimizers with more to tune: schedule" in str([w.detail for w in told.warnings])
    assert not any("batch size is searched" in warning.detail for warning in told.warnings)


def test_it_is_verified_and_an_invented_batch_size_is_not(report: Report) -> None:
    assert verify(report).outcome == "confirmed", verify(report)
    place = next(at for at, trial in enumerate(report.trials) if trial.plan.label == "adam")
    trials = list(report.trials)
    plan = trials[place].plan
    other = plan.training.model_copy(update={"batch_size": plan.training.batch_size + 1})
    trials[place] = trials[place].model_copy(update={"plan": plan.model_copy(update={"training": other})})
    again = verify(report.model_copy(update={"trials": tuple(trials)}))
    assert again.outcome != "confirmed"


@pytest.mark.bits
def test_its_configs_and_trials_are_trained_again(report: Report) -> None:
    assert {one.outcome for one in rerun(report, new_seeds=1).repeated} == {"same bits"}
    assert audit(report, trials=8, seed=1).holds


def test_a_comparison_and_a_fit_train_as_the_job_did(report: Report, tmp_path: Path) -> None:
    compared = compare(report, ["runner-up", "default", "today"], new_seeds=2)
    told = report.recommendation
    assert {**compared.arms[0].config, "betas": None} == {**present(told.config), "betas": None}
    assert compared.arms[-1].config["batch_size"] == 24
    fitted = fit(report, tmp_path / "fitted", config="adadagradnorm")
    assert fitted.agreement != "differs"
    assert {"batch_eta", "batch_max", "b0"} <= fitted.config.keys()
