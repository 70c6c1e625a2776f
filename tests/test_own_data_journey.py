"""A person's own table, by the commands alone: from a file to a recommendation to predictions."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine

from tests.builders.homes import Embedded
from tests.builders.own_files import saved
from tests.builders.present import present

pytestmark = pytest.mark.journey

SORTS = ("barolo", "grignolino", "barbera")
JOB = {
    "workload": {"dataset": {"name": "wines"}, "model": {"name": "mlp", "hidden": [16]}},
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 8, "confirm_seeds": 3},
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home") / "data", workers=1)
    yield embedded
    embedded.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The wine data that scikit-learn ships, with words: sorts, a category, a date made up, and gaps."""
    wine, random = load_wine(), np.random.default_rng(0)
    columns: dict[str, list[object]] = {}
    for name, values in zip(wine.feature_names, wine.data.T, strict=True):
        gaps = random.random(len(values)) < 0.05
        columns[name] = [None if gap else value for gap, value in zip(gaps, values.tolist(), strict=True)]
    shades = np.array(["pale", "medium", "deep"])[np.digitize(wine.data[:, 9], [3.5, 6])]
    columns["color_intensity"] = [None if random.random() < 0.05 else str(shade) for shade in shades]
    columns["tasted"] = [str(np.datetime64("2024-01-01") + int(day)) for day in random.integers(0, 365, 178)]
    columns["sort"] = [SORTS[one] for one in wine.target]
    return saved(tmp_path / "wines.csv", columns)


def test_from_a_file_to_predictions(home: Embedded, file: Path, tmp_path: Path) -> None:
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

    assert "sort" in whichopt("dataset", "add", file.name, "--target", "sort")
    (tmp_path / "job.json").write_text(json.dumps(JOB))
    assert "deploy" in whichopt("submit", "job.json", "--wait")
    (job,) = home.client.jobs().items
    recommendation = home.client.recommendation(job.id)
    assert recommendation.optimizer in ("adabelief", "sgd")
    assert "wines.csv" in present(recommendation.snippet)

    fitted = json.loads(whichopt("fit", job.id, "--out", "net", "--json"))
    assert fitted["agreement"] in ("same bits", "within tolerance")
    predict = [sys.executable, "-I", "net/predict.py", file.name, "predictions.csv"]
    done = subprocess.run(predict, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "predictions.csv").open(newline="") as out, file.open(newline="") as sent:
        pairs = zip(csv.DictReader(out), csv.DictReader(sent), strict=True)
        right = [predicted["prediction"] == row["sort"] for predicted, row in pairs]
    assert len(right) == 178
    assert np.mean(right) > 0.9
