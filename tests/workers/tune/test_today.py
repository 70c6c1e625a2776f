"""A training function's job with what is used today: `tune(today=...)`, and the command's `--today`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.builders.present import present
from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.report.verify import verify
from whichopt.workers.tune import tune
from whichopt.workers.tune.__main__ import main

X = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.1


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


def test_the_answer_comes_first_and_its_evidence_verifies(tmp_path: Path) -> None:
    said: list[str] = []
    asked: dict[str, Any] = {
        "minimize": "loss",
        "optimizers": ["sgd", "adamw"],
        "trials": 2,
        "replicates": 1,
        "epochs": 2,
        "confirm_seeds": 6,
        "processes": 2,
        "data": tmp_path / "data",
        "say": said.append,
    }
    today = {"name": "radam", "config": {"lr": 1e-6, "betas": [0.9, 0.99]}}
    found = tune(train, today=today, **asked)
    answer = present(found.today)
    assert (answer.answer, answer.optimizer) == ("switch", "radam")
    assert answer.config["betas"] == [0.9, 0.99]
    assert found.statement.startswith("Switch from today's radam to ")
    assert str(found).startswith("Switch from today's radam to ")
    assert "<b>switch</b>" in found._repr_html_()
    assert "rehearsing" in " ".join(said)
    assert "5 runs of one epoch" in " ".join(said), "today's optimizer is rehearsed as well"
    report = read_report(found.save_report(tmp_path / "report.html"))
    assert verify(report).outcome == "confirmed"
    assert tune(train, today=today, **asked).job_id == found.job_id
    other = tune(train, today={"name": "radam", "config": {"lr": 1e-5}}, **asked)
    assert other.job_id != found.job_id, "another config of today is another question"
    assert tune(train, **asked).today is None


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot be read"), ("{", "is no JSON"), ("[]", "must hold an object"), ('{"name": "x"}', "'x'")],
)
def test_a_file_that_names_no_config_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    path = tmp_path / "today.json"
    if text is not None:
        path.write_text(text)
    code = main(["train.py:fit", "--minimize", "loss", "--trials", "3", "--today", str(path), "--data", "x"])
    assert code == 2
    assert says in capsys.readouterr().err
