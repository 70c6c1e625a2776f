"""A GAN and a VAE go to a verdict by real processes, one of which is killed in the middle of a cohort."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders.homes import Embedded
from tests.builders.present import present
from whichopt.service.evidence.report.verify import verify
from whichopt.service.states import Phase

pytestmark = pytest.mark.journey

GAN: dict[str, Any] = {
    "workload": {
        "dataset": {"name": "ring", "examples": 1000},
        "model": {"name": "gan", "hidden": [16], "loss": "wgan-gp", "spectral_norm": True, "critic_steps": 2},
    },
    "optimizers": ["adabelief", "adam"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 20, "confirm_seeds": 3},
    "executor": "stacked",
    "kernels": "torch",
}

VAE: dict[str, Any] = {
    **GAN,
    "workload": {"task": "autoencoding", "dataset": "digits", "model": {"name": "vae", "hidden": [16]}},
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
    "executor": "auto",
}

TRAINER = "billiard.spawn"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home") / "data", workers=1)
    yield embedded
    embedded.stop()


def test_a_kill_in_the_middle_of_a_cohort_changes_nothing(home: Embedded) -> None:
    expected = home.outcome(home.client.submit(GAN))
    killed = home.submit_and_catch({**GAN, "name": "killed"}, 1)
    home.parts(TRAINER)[0].kill()
    assert home.outcome(killed) == expected
    assert max(home.attempts()) > 1


@pytest.mark.parametrize(("body", "kind"), [(GAN, "points"), (VAE, "images")])
def test_a_report_has_samples_and_code_that_runs(home: Embedded, body: dict[str, Any], kind: str) -> None:
    job = home.client.submit({**body, "name": kind, "seed": 1})
    found = home.finish(job)
    report = home.client.report(job.id)
    assert verify(report).outcome == "confirmed"
    samples = [
        present(present(trial.result).sample).kind
        for trial in report.trials
        if trial.plan.phase is Phase.CONFIRM and trial.plan.number == 0
    ]
    assert samples
    assert set(samples) == {kind}
    done = subprocess.run(
        [sys.executable, "-c", present(found.snippet)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
