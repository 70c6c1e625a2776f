"""A function that the operator allows, trained by workers over REST as it is in process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.homes import Production
from tests.builders.waiting import wait_until
from whichopt.service.client.errors import ProblemError
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort
from whichopt.service.environment import Environment
from whichopt.service.evidence.report.document import evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import JobState
from whichopt.workers.embedded.broker import Broker

CODE = """
import os, signal
import torch

X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)


def fit(run):
    if "KILLED_IN_CONFIRM" in os.environ and run.plan.phase == "confirm" and run.max_epochs > 1:
        os.kill(os.getppid(), signal.SIGKILL)
    train, validation = run.split(len(Y))
    model = torch.nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        for rows in torch.as_tensor(train)[torch.randperm(len(train))].split(16):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(X[rows]), Y[rows]).backward()
            optimizer.step()
        run.report(loss=torch.nn.functional.mse_loss(model(X[validation]), Y[validation]))
    run.test(lambda rows: torch.nn.functional.mse_loss(model(X[rows]), Y[rows]).item())
"""
OPTIMIZERS = ["sgd", "adamw"]
pytestmark = pytest.mark.journey

BUDGET: dict[str, Any] = {"trials": 2, "replicates": 1, "epochs": 2, "confirm_seeds": 3}

HERE = """
import json, sys
import ourlab, whichopt
found = whichopt.tune(ourlab.fit, data=sys.argv[1], say=lambda _: None, **json.loads(sys.argv[2]))
print(found.job_id)
"""


def in_process(ourlab: Path, data: Path, **environment: str) -> str:
    """The job of a person who has the function in a session of their own; its id."""
    asked = json.dumps({"minimize": "loss", "optimizers": OPTIMIZERS, **BUDGET})
    done = subprocess.run(
        [sys.executable, "-c", HERE, str(data), asked],
        env={**os.environ, "PYTHONPATH": f"{ourlab}:{os.getcwd()}", **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1]


@pytest.fixture
def ourlab(tmp_path: Path) -> Path:
    """A folder with a module that has the function."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "ourlab.py").write_text(CODE)
    return code


def trials(store: Store, uid: str) -> list[Any]:
    """All of a job's trials but for times: who ran them must not matter."""
    with store.read() as tx:
        record = tx.records.of_job(uid)
    assert record is not None
    return [
        (one.plan, one.result and one.result.model_copy(update={"seconds": 0.0})) for one in record.trials
    ]


def environments(store: Store, uid: str) -> list[Environment]:
    """What trained the job, each kind once."""
    with store.read() as tx:
        record = tx.records.of_job(uid)
    assert record is not None
    return record.environments


def test_two_workers_train_it_as_the_process_that_has_it_and_one_without_it_leaves_it_to_them(
    tmp_path: Path, broker: Broker, ourlab: Path
) -> None:
    allowing = {"WHICHOPT_ALLOW": "ourlab:fit", "PYTHONPATH": str(ourlab)}
    url = sqlite_url(tmp_path / "rest.db")
    home = Production(url, broker, tmp_path, workers=0, environment={"WHICHOPT_ALLOW": "ourlab:fit"})
    workload = {"function": "ourlab:fit", "minimize": "loss"}
    try:
        with pytest.raises(ProblemError, match="allows no function 'ourlab:fits'; did you mean 'ourlab:fit'"):
            home.client.submit({"workload": {**workload, "function": "ourlab:fits"}, "budget": BUDGET})
        log = home.start_worker(WHICHOPT_ALLOW="")
        job = home.client.submit({"workload": workload, "optimizers": OPTIMIZERS, "budget": BUDGET})
        wait_until(lambda: "lacks_function" in log.read_text(), "a worker to see that it lacks the function")
        waits = home.client.job(job.id)
        assert waits.state is JobState.QUEUED
        assert waits.activity is not None
        assert waits.activity.what == "worker"
        assert waits.waiting_for is not None
        assert "Waiting for a worker that has ourlab:fit: none that is running for cpu" in waits.waiting_for
        for _ in range(2):
            home.start_worker(**allowing)
        found = home.finish(job)
        offers = home.client.functions()[0].workers
        with home.store.read() as tx:
            trained_by = set(tx.connection.scalars(sa.select(cohort.c.worker)))
    finally:
        home.stop()
    assert found.function == "ourlab:fit"
    assert found.unit == "epochs"
    assert trained_by == {one.worker for one in offers}, "both of those that have it, and nobody else"
    assert len(trained_by) == 2
    here = in_process(ourlab, tmp_path / "here")
    store, rest = Store(sqlite_url(tmp_path / "here" / "whichopt.db")), Store(url)
    try:
        (mine,), (theirs,) = environments(store, here), environments(rest, job.id)
        assert theirs.unlike(mine) == []
        assert trials(store, here) == trials(rest, job.id), "to the bit"
    finally:
        store.close()
        rest.close()


def test_another_mode_of_the_kernels_is_said(tmp_path: Path, ourlab: Path) -> None:
    """In what trained the trials, in a warning of a job that went on under another one, and by verify."""
    data = tmp_path / "here"
    with pytest.raises(subprocess.CalledProcessError):
        in_process(ourlab, data, KILLED_IN_CONFIRM="1", MKL_CBWR="AUTO")
    uid = in_process(ourlab, data, MKL_CBWR="COMPATIBLE")
    store = Store(sqlite_url(data / "whichopt.db"))
    with store.read() as tx:
        record = tx.records.of_job(uid)
    store.close()
    assert record is not None
    assert record.recommendation is not None
    first, then = record.environments
    assert (first.mkl_cbwr, then.mkl_cbwr) == ("AUTO", "COMPATIBLE")
    assert first.unlike(then) == ["mkl_cbwr: AUTO there, COMPATIBLE here"]
    (warning,) = (one for one in record.recommendation.warnings if one.code == "mixed_environments")
    assert "mkl_cbwr AUTO and COMPATIBLE" in warning.detail
    report = evidence(record.facts, record.spec, record.trials, record.recommendation, record.environments)
    assert verify(report).outcome == "confirmed"
    alike = report.model_copy(update={"environments": (first,)})
    assert verify(alike).outcome == "differs", "the warning follows from them"
