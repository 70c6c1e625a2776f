"""A training function is tuned where it stands: once, again, interrupted, edited, wrong, and by its name."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from torch import nn

import whichopt
from whichopt.service.db import Store
from whichopt.service.errors import BudgetNeeded, FunctionFailed, InvalidSpec
from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.report.verify import verify
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import JobState, Phase
from whichopt.workers.audit import audit
from whichopt.workers.rerun import rerun
from whichopt.workers.tune import Tuned, tune

X = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.1

SMALL: dict[str, Any] = {
    "minimize": "loss",
    "optimizers": ["adamw", "sgd"],
    "trials": 4,
    "replicates": 2,
    "epochs": 2,
    "confirm_seeds": 3,
    "processes": 2,
}


def train(run: Any) -> None:
    fit, validation = (torch.as_tensor(rows) for rows in run.split(len(Y)))
    model = nn.Linear(4, 1)
    optimizer = run.optimizer(model)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(model(X[rows]), Y[rows])

    for _ in run.epochs:
        optimizer.zero_grad()
        torch.autograd.backward(loss(fit[torch.randperm(len(fit))[:16]]))
        optimizer.step()
        run.report(loss=loss(validation))
    run.test(lambda rows: loss(torch.as_tensor(rows)).item())


@pytest.fixture
def said() -> list[str]:
    return []


def of_job(data: Path, uid: str) -> Any:
    store = Store(sqlite_url(data / "whichopt.db"))
    try:
        with store.read() as tx:
            return tx.records.of_job(uid)
    finally:
        store.close()


def cohorts_by_round(data: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(data / "whichopt.db")) as connection:
        rows = connection.execute("SELECT count(*) FROM cohort GROUP BY job_id, round")
        return [count for (count,) in rows]


def outcome(data: Path, found: Tuned) -> list[Any]:
    trials = of_job(data, found.job_id).trials
    return [
        (one.plan.label, one.plan.number, one.plan.config, one.result and one.result.value) for one in trials
    ]


def test_a_function_is_answered_once_and_its_evidence_holds(tmp_path: Path, said: list[str]) -> None:
    configured = structlog.is_configured()  # by another test of this process, or not
    kept = tmp_path / "report.html"
    best = tune(train, **SMALL, report=kept, data=tmp_path / "data", say=said.append)
    assert any(line.startswith("rehearsed: an epoch takes") for line in said)
    assert str(kept) in said[-1]
    record = of_job(tmp_path / "data", best.job_id)
    assert record.state is JobState.SUCCEEDED
    assert len([one for one in record.trials if one.plan.phase is Phase.SEARCH]) == 8
    assert set(cohorts_by_round(tmp_path / "data")) == {1}, "no place waits before its round ends"
    assert best.recommendation.unit == "epochs"
    assert "epoch" in "".join(said)
    report = read_report(kept)
    assert verify(report).outcome == "confirmed", verify(report)
    assert read_report(best.save_report(tmp_path / "again.html")) == report
    assert best.statement in str(best)
    assert repr(best) == str(best), "in a session, too"
    assert best.statement.split(":")[0] in best._repr_html_()
    model = nn.Linear(4, 1)
    group = best.optimizer(model).param_groups[0]
    assert best.config is not None
    assert group["lr"] == best.config["lr"]
    final = best.run(epochs=3)
    train(final)
    assert len(final.reports) == 3
    assert final.scores is not None
    assert set(final.scores) == {"loss"}
    repeated = rerun(report, new_seeds=1, function=train)
    assert {one.outcome for one in repeated.repeated} == {"same bits"}
    assert repeated.unlike == []
    drawn = audit(report, trials=4, seed=1, function=train)
    assert drawn.holds, drawn
    assert [(one.outcome, one.bits) for one in drawn.drawn] == [("same bits", True)] * 4

    again = tune(train, **SMALL, data=tmp_path / "data", say=said.append)
    assert again.job_id == best.job_id
    assert "has answered this already" in said[-1]
    anew = tune(train, **SMALL, data=tmp_path / "data", fresh=True, say=said.append)
    assert anew.job_id != best.job_id
    assert outcome(tmp_path / "data", anew) == outcome(tmp_path / "data", best)
    assert structlog.is_configured() == configured, "the logs of the process are as they were"


_FAULT: list[str] = []


def faulty(run: Any) -> None:
    if _FAULT and run.config.get("momentum") is not None and run.max_epochs > 1:
        raise ValueError(_FAULT[0])
    train(run)


def test_what_it_raises_is_seen_and_the_next_call_goes_on(tmp_path: Path, said: list[str]) -> None:
    _FAULT.append("a shape does not fit")
    try:
        with pytest.raises(FunctionFailed, match="a shape does not fit") as caught:
            tune(faulty, **SMALL, data=tmp_path, say=said.append)
        assert "raise ValueError(_FAULT[0])" in str(caught.value), "the person's own line"
        with pytest.raises(ValueError, match="a shape does not fit"):
            tune(faulty, **{**SMALL, "processes": 1}, isolation="inline", data=tmp_path, say=said.append)
    finally:
        _FAULT.clear()
    found = tune(faulty, **SMALL, data=tmp_path, say=said.append)
    assert any(f"job {found.job_id} goes on" in line for line in said)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"minimize": None}, "neither minimize nor maximize is given: say one"),
        ({"maximize": "accuracy"}, "minimize and maximize are both given: say one"),
        ({"optimizers": ["sgd", torch.optim.RMSprop]}, r"whichopt\.candidate\(RMSprop, space="),
        ({"train": 5}, "and was given 5; give the function itself"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_spent(
    tmp_path: Path, said: list[str], given: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidSpec, match=says):
        tune(**{"train": train, **SMALL, **given}, data=tmp_path / "data", say=said.append)
    assert said == []
    assert not (tmp_path / "data").exists()


UNGUARDED = """
import sys
import whichopt
from tests.workers.tune.test_tune import SMALL, train
def fit(run):
    train(run)
whichopt.tune({asked}, **SMALL, data=sys.argv[1])
"""


def ended(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_module_that_tunes_when_it_is_imported_is_told_to_guard_the_call(tmp_path: Path) -> None:
    (tmp_path / "unguarded.py").write_text(UNGUARDED.format(asked="'unguarded.py:fit'"))
    told = ended(tmp_path, "unguarded.py", str(tmp_path / "data"))
    assert told.returncode != 0
    assert "Put the call under if __name__ == '__main__':" in told.stderr


def test_a_script_that_tunes_is_not_tuned_itself(tmp_path: Path) -> None:
    (tmp_path / "tunes.py").write_text(UNGUARDED.format(asked="fit"))
    asked = ("--minimize", "loss", "--trials", "3", "--data", str(tmp_path / "data"))
    told = ended(
        tmp_path, "-m", "whichopt.service.cli", "tune", "tunes.py", *asked, "--", str(tmp_path / "in")
    )
    assert told.returncode != 0
    assert "give the function alone, such as train.py:fit" in told.stderr
    assert not (tmp_path / "in").exists()


def test_without_a_budget_it_says_what_some_would_buy(tmp_path: Path, said: list[str]) -> None:
    asked = {name: value for name, value in SMALL.items() if name != "trials"}
    with pytest.raises(BudgetNeeded) as caught:
        tune(train, **asked, data=tmp_path / "data", say=said.append)
    assert "minutes=60" in caught.value.detail
    assert "The least that is a verdict on configs" in caught.value.detail
    assert not (tmp_path / "data").exists()


class Signs(torch.optim.Optimizer):
    """Steps of one length; its arguments have names that jobs use for other things."""

    def __init__(self, params: Any, lr: float = 1e-2, warmup: int = 0, batch_eta: float = 1.0) -> None:
        if batch_eta <= 0:
            raise ValueError("batch_eta is a factor of lr")
        super().__init__(params, {"lr": lr * batch_eta, "warmup": warmup})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        del closure
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    param -= group["lr"] * param.grad.sign()


def test_an_optimizer_of_ones_own_competes(tmp_path: Path, said: list[str]) -> None:
    lr = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}
    space = {"lr": lr, "warmup": {"type": "int", "low": 1, "high": 900}, "batch_eta": {**lr, "high": 9.0}}
    default = {"lr": 0.05, "warmup": 10, "batch_eta": 2.0}
    mine = whichopt.candidate(Signs, space=space, default=default, state_bytes=0)
    found = tune(train, **{**SMALL, "optimizers": ["sgd", mine]}, data=tmp_path, say=said.append)
    (row,) = (one for one in found.recommendation.ranking if one.optimizer == "signs")
    assert row.config.keys() == default.keys()
    assert {one.optimizer for one in found.recommendation.ranking} == {"sgd", "signs"}
    assert verify(read_report(found.save_report(tmp_path / "r.html"))).outcome == "confirmed"
    with pytest.raises(InvalidSpec, match="takes no momentum; it takes lr"):
        whichopt.candidate(Signs, space={"momentum": lr}, default={"momentum": 0.9})


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "train.py"
    file.write_text(
        "import torch\n\n\ndef fit(run):\n    model = torch.nn.Linear(2, 1)\n"
        "    optimizer = run.optimizer(model)\n    for _ in run.epochs:\n"
        "        loss = (model(torch.randn(16, 2)) - 1).square().mean()\n"
        "        optimizer.zero_grad()\n        loss.backward()\n        optimizer.step()\n"
        "        run.report(loss=loss)\n"
    )
    return file


def test_a_script_that_is_run_is_named_and_rerun_by_its_file(script: Path) -> None:
    with script.open("a") as file:
        small = "trials=1, replicates=1, epochs=1, confirm_seeds=3, optimizers=['sgd'], report='r.html'"
        file.write(
            f"\n\nif __name__ == '__main__':\n    import whichopt\n\n"
            f"    whichopt.tune(fit, minimize='loss', {small})\n"
        )
    ran = subprocess.run([sys.executable, script.name], cwd=script.parent, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "rehearsing train.py:fit" in ran.stderr
    report = read_report(script.parent / "r.html")
    assert "source" not in str(rerun(report, new_seeds=0, function=f"{script}:fit").unlike)
    script.write_text(script.read_text().replace("- 1)", "- 2)"))
    edited, *_ = rerun(report, new_seeds=0, function=f"{script}:fit").unlike
    assert edited.startswith("the function's source: ")


def test_a_file_is_tuned_by_the_command(script: Path) -> None:
    command = [sys.executable, "-m", "whichopt.service.cli", "tune", "train.py:fit", "--minimize=loss"]
    options = [
        "--trials=1",
        "--replicates=1",
        "--epochs=1",
        "--confirm-seeds=3",
        "--optimizers=sgd",
        "--json",
    ]
    done = subprocess.run(
        [*command, *options, "--report=report.html"],
        cwd=script.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["function"] == "train.py:fit"
    assert found["split"] == "validation", "nobody held a test part back"
    assert verify(read_report(script.parent / "report.html")).outcome == "confirmed"
