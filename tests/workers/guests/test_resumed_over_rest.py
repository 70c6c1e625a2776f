"""A job whose worker is lost with its trial and that is resumed has the trials of an undisturbed one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.builders import homes
from tests.builders.homes import Embedded
from tests.builders.waiting import wait_until
from whichopt.service.client.errors import ProblemError
from whichopt.service.db import Store
from whichopt.service.sqlite_url import sqlite_url
from whichopt.workers.tune import tune

pytestmark = pytest.mark.journey

CODE = """
import os
import signal
from pathlib import Path

import torch

X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)


def fit(run):
    train, validation = run.split(len(Y))
    model = torch.nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        if "LOST_ONCE" in os.environ and run.max_epochs > 1 and not Path(os.environ["LOST_ONCE"]).exists():
            Path(os.environ["LOST_ONCE"]).touch()
            # The parent is the clean process that trials are copies of; its parent is the worker.
            fields = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
            os.kill(int(fields[1]), signal.SIGKILL)
        for rows in torch.as_tensor(train)[torch.randperm(len(train))].split(16):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(X[rows]), Y[rows]).backward()
            optimizer.step()
        run.report(loss=torch.nn.functional.mse_loss(model(X[validation]), Y[validation]))
    run.test(lambda rows: torch.nn.functional.mse_loss(model(X[rows]), Y[rows]).item())
"""
BUDGET: dict[str, Any] = {"trials": 1, "replicates": 1, "epochs": 2, "confirm_seeds": 3}


def values(data: Path, uid: str) -> list[Any]:
    store = Store(sqlite_url(data / "whichopt.db"))
    with store.read() as tx:
        record = tx.records.of_job(uid)
    store.close()
    assert record is not None
    return [(one.plan.number, one.plan.config, one.result and one.result.curves) for one in record.trials]


def test_workers_train_it_as_the_process_that_has_it_though_one_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job fails with the worker that is lost, and is resumed by the command."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "ourlab.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(code))
    monkeypatch.setenv("WHICHOPT_ALLOW", "ourlab:fit")
    monkeypatch.setenv("LOST_ONCE", str(tmp_path / "lost"))
    monkeypatch.setitem(homes.FAST, "WHICHOPT_ATTEMPTS", "1")
    workload = {"function": "ourlab:fit", "minimize": "loss"}
    home = Embedded(tmp_path / "home", workers=1)
    try:
        with pytest.raises(ProblemError, match="allows no function 'ourlab:fits'; did you mean 'ourlab:fit'"):
            home.client.submit({"workload": {**workload, "function": "ourlab:fits"}, "budget": BUDGET})
        job = home.client.submit({"workload": workload, "optimizers": ["sgd"], "budget": BUDGET})
        wait_until(lambda: home.client.job(job.id).state.ended, "the job to fail with its worker")
        failed = home.client.job(job.id)
        assert failed.error is not None
        assert failed.error.code == "worker_lost", failed.error
        command = [sys.executable, "-m", "whichopt.service.cli", "resume", job.id, f"--data={home.data}"]
        subprocess.run(command, check=True)
        found = home.finish(job)
        wait_until(lambda: home.client.functions()[0].workers, "the worker to tell what it offers")
    finally:
        home.stop()
    assert found.function == "ourlab:fit"
    assert found.unit == "epochs"
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.delenv("LOST_ONCE")
    import ourlab  # type: ignore[import-not-found]

    try:
        here = tune(
            ourlab.fit,
            minimize="loss",
            optimizers=["sgd"],
            data=tmp_path / "here",
            say=lambda _: None,
            **BUDGET,
        )
    finally:
        del sys.modules["ourlab"]
    assert values(tmp_path / "here", here.job_id) == values(tmp_path / "home", job.id), "to the bit"
