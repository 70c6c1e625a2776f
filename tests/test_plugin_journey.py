"""The package that the docs show: built, installed, trained by real workers, and verified where it is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.homes import Embedded
from tests.builders.plugins import EXAMPLE, built
from tests.builders.waiting import wait_until
from whichopt.service.client.errors import ProblemError

pytestmark = pytest.mark.journey

JOB: dict[str, Any] = {
    "workload": {"dataset": "ourlab-rings", "model": {"name": "ourlab-net", "width": 8}},
    "optimizers": ["ourlab-sgd", "adabelief"],
    "budget": {"trials": 6, "replicates": 2, "epochs": 5, "confirm_seeds": 3},
    "batch_size": 32,
    "kernels": "torch",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the package alone, as pip installs it."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(EXAMPLE, folder / "source")  # as setuptools leaves its own files beside what it builds
    return built(folder / "source", folder / "site")


@pytest.fixture(scope="module")
def home(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
        embedded = Embedded(tmp_path_factory.mktemp("home") / "data", workers=2)
    yield embedded
    embedded.stop()


def whichopt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where the package is not installed."""
    command = [sys.executable, "-m", "whichopt.service.cli", *arguments]
    return subprocess.run(
        command,
        env={**os.environ, "WHICHOPT_DATA": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_is_installed_and_its_job_ends_in_a_recommendation_that_holds_elsewhere(
    home: Embedded, tmp_path: Path
) -> None:
    def all_are_told() -> bool:
        return {one.name for one in home.client.plugins() if one.workers} == {
            "ourlab-net",
            "ourlab-rings",
            "ourlab-sgd",
        }

    wait_until(all_are_told, "the worker to import the package")
    with pytest.raises(ProblemError, match="there is no model 'ourlab-nett'; did you mean 'ourlab-net'"):
        home.client.submit({**JOB, "workload": {"dataset": "ourlab-rings", "model": "ourlab-nett"}})
    job = home.client.submit(JOB)
    found = home.finish(job)
    assert found.optimizer in ("ourlab-sgd", "adabelief")
    ended = home.client.job(job.id)
    workload = ended.spec.cataloged
    assert workload.model_origin is not None
    assert (workload.model_origin.package, workload.model_origin.version) == ("ourlab-plugins", "1.0")
    assert workload.model_origin.params == 2 * 8 + 8 + 8 * 2 + 2

    report = tmp_path / "report.json"
    report.write_text(home.client.report(job.id).model_dump_json())
    verified = whichopt(tmp_path, "verify", str(report), "--json")
    assert verified.returncode == 0, verified.stderr
    told = json.loads(verified.stdout)
    assert told["outcome"] == "confirmed"
    assert any("ourlab-net is from the plug-in ourlab-plugins 1.0" in note for note in told["notes"])
    again = whichopt(tmp_path, "rerun", str(report))
    assert again.returncode == 2
    assert "is from ourlab-plugins 1.0, which is not installed here: install it" in again.stderr
