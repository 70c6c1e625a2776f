"""A person's own images, by the commands alone: a zip, or a folder that lies there, to a recommendation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.builders.homes import Embedded
from tests.builders.images import encoded, folder_of, zip_of
from tests.builders.present import present

pytestmark = pytest.mark.journey

SIDE = 16
JOB = {
    "workload": {
        "dataset": "shapes",
        "model": {"name": "cnn", "channels": [8, 16]},
        "augment": ["flip", "crop"],
    },
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 10, "confirm_seeds": 3},
    "batch_size": 16,
    "executor": "stacked",
}


def shapes(each: int = 60) -> dict[str, bytes]:
    """Return images of bars that lie and bars that stand, anywhere, in any color, on noise."""
    random, made = np.random.default_rng(0), {}
    for name in ("lying", "standing"):
        for i in range(each):
            image = random.integers(0, 60, (SIDE, SIDE, 3))
            at = random.integers(2, SIDE - 4)
            image[at : at + 3, 2:-2] += random.integers(80, 190, 3)
            upright = image if name == "lying" else image.transpose(1, 0, 2)
            made[f"shapes/{name}/{i}.jpg"] = encoded(upright.astype(np.uint8), "JPEG", quality=90)
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("root"), shapes())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Embedded]:
    before = os.environ.get("WHICHOPT_DATA_ROOT")
    os.environ["WHICHOPT_DATA_ROOT"] = str(root)
    embedded = Embedded(tmp_path_factory.mktemp("home") / "data", workers=1)
    yield embedded
    embedded.stop()
    if before is None:
        del os.environ["WHICHOPT_DATA_ROOT"]


@pytest.mark.parametrize("source", ["shapes.zip", "folder:shapes"])
def test_from_images_to_a_recommendation(source: str, home: Embedded, tmp_path: Path) -> None:
    def whichopt(*arguments: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("whichopt")), *arguments, f"--data={home.data}"],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if not name.startswith("WHICHOPT_")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "shapes.zip").write_bytes(zip_of(shapes()))
    name = source.partition(".")[0].replace(":", "-")
    added = present(whichopt("dataset", "add", source, "--name", name))
    assert "120 of 16 x 16, 3 channels" in added
    assert "lying 60, standing 60" in added
    workload = {**JOB["workload"], "dataset": name}  # type: ignore[dict-item]
    (tmp_path / "job.json").write_text(json.dumps({**JOB, "workload": workload}))
    told = whichopt("submit", "job.json", "--wait")
    assert "deploy" in told
    job = home.client.jobs().items[0]
    assert job.spec.trained_by == "stacked"
    recommendation = home.client.recommendation(job.id)
    assert recommendation.optimizer in ("adabelief", "sgd")
    assert "augmented(inputs[batch])" in present(recommendation.snippet)
    assert recommendation.value is not None
    assert recommendation.value.mean < 0.5, "nats; a coin has 0.69"
    whichopt("report", job.id, "--html", "report.html")
    report = (tmp_path / "report.html").read_text()
    assert "flip, crop by up to 2 pixels" in report
    assert "120 of 16 x 16, 3 channels" in report
