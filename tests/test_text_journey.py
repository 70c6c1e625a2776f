"""A language model from a person's text to a verdict, by real processes, one of which is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.homes import Embedded
from tests.builders.present import present
from tests.builders.texts import prose
from whichopt.service.evidence.report.verify import verify
from whichopt.service.states import Phase

pytestmark = pytest.mark.journey

JOB: dict[str, Any] = {
    "workload": {
        "dataset": {"name": "book", "length": 32},
        "model": {"name": "lstm", "hidden": 16, "embedding": 8},
    },
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 6, "confirm_seeds": 3},
    "batch_size": 8,
    "executor": "stacked",
    "kernels": "torch",
}


LONG = {**JOB, "name": "killed", "budget": {**JOB["budget"], "epochs": 25}}
"""Long enough to be caught on the way."""

TRAINER = "billiard.spawn"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home") / "data", workers=1)
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "book.txt"
    path.write_text(prose(6_000), encoding="utf-8")
    return path


def test_from_a_text_to_code_that_learns_it(home: Embedded, book: Path) -> None:
    def whichopt(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("whichopt")), *arguments, f"--data={home.data}"],
            cwd=book.parent,
            env={name: value for name, value in os.environ.items() if not name.startswith("WHICHOPT_")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    told = whichopt("dataset", "add", book.name, "--task", "language")
    assert "the last fifth of the text tests" in told
    assert prose(6_000).splitlines()[1] in told
    (book.parent / "job.json").write_text(json.dumps({**JOB, "executor": "auto"}))
    assert "deploy" in whichopt("submit", "job.json", "--wait")
    (job,) = home.client.jobs().items
    report = home.client.report(job.id)
    assert verify(report).outcome == "confirmed"
    samples = [
        trial.result.sample
        for trial in report.trials
        if trial.plan.phase is Phase.CONFIRM and trial.result is not None and trial.plan.number == 0
    ]
    assert all(sample is not None and len(sample.content) == 200 for sample in samples)
    refused = whichopt("fit", job.id, "--out", "net", fails=True)
    assert "save that by torch.save" in " ".join(refused.split())
    code = present(home.client.recommendation(job.id).snippet)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=book.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    score = float(done.stdout.rpartition("test nll: ")[2])
    assert score == pytest.approx(present(home.client.recommendation(job.id).value).mean, rel=0.2)


def test_a_kill_in_the_middle_of_a_cohort_changes_nothing(home: Embedded, book: Path) -> None:
    home.client.add_dataset(book, task="language", name="book")
    expected = home.outcome(home.client.submit(LONG))
    killed = home.submit_and_catch(LONG, 1)
    home.parts(TRAINER)[0].kill()
    assert home.outcome(killed) == expected
    assert max(home.attempts()) > 1
