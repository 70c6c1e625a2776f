"""The snippet of a job about a person's own file: it runs on the file, and reaches the reported score."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.builders.own_files import report_of, saved, visits
from tests.builders.present import present
from whichopt.service.catalog.metrics import CLASSIFICATION, REGRESSION
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.evidence.verdict import snippet_rows, snippet_table
from whichopt.service.evidence.verdict.snippet import snippet
from whichopt.service.states import Phase
from whichopt.service.uploads import Choices
from whichopt.workers import workload
from whichopt.workers.intake.division import PARTS
from whichopt.workers.intake.raw import MISSING
from whichopt.workers.reported import confirmed
from whichopt.workers.workload import columns

RUN = """
import contextlib, io, json, sys
import numpy as np

found = {}
for name, code in json.load(sys.stdin).items():
    names, printed = {"__name__": "pasted"}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), names)
    assert "whichopt" not in sys.modules
    found[name] = {
        "printed": printed.getvalue(),
        "train": np.asarray(names["train"]).tolist(),
        "test": np.asarray(names["test"]).tolist(),
        "targets": names["targets"].flatten().tolist(),
    }
    np.save(f"{name}.npy", names["features"].numpy())
print(json.dumps(found))
"""

JOB: dict[str, Any] = {
    "workload": {"model": {"name": "mlp", "hidden": [16]}},
    "optimizers": ["adamw"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 12, "confirm_seeds": 5},
    "batch_size": 32,
}


@dataclass(frozen=True)
class Case:
    """A file of its own name: what is predicted, and how the rows are divided."""

    target: str
    split: str = "random"
    job: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()


CASES = {
    "classes": Case("risk", job={"metric": "roc_auc"}),
    "mislabeled": Case("risk", job={"dataset": {"label_noise": 0.25}}),
    "numbers": Case("cost", without=("risk",)),
    "given": Case("risk", "column:part"),
    "groups": Case(
        "risk", "group:clinic", job={"task": {"name": "classification", "class_weight": "balanced"}}
    ),
    "times": Case("cost", "time:day", without=("risk",)),
}

FORMATS = ("frame", "arrays", "parts", "matrix", "bare")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snippets")


@pytest.fixture(scope="module")
def reports(folder: Path) -> dict[str, Report]:
    blobs = folder / "blobs"
    blobs.mkdir()
    found = {}
    for name, case in CASES.items():
        dropped = {"cost", "part", "risk", *case.without} - {case.target, case.split.partition(":")[2]}
        kept = {column: values for column, values in visits().items() if column not in dropped}
        path = saved(folder / f"{name}.csv", kept, delimiter=";")
        job = {**JOB, "workload": {**JOB["workload"], **case.job}}
        choices = Choices.model_validate({"target": case.target, "split": case.split})
        found[name] = report_of(path, blobs, choices, job)
    for name, (path, asked) in other_formats(folder).items():
        form = path.suffix.removeprefix(".")
        found[name] = report_of(path, blobs, Choices.model_validate(asked), JOB, form=form)
    return found


def other_formats(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Write tables in formats other than text with names of columns; return what is said about each."""
    random, rows = np.random.default_rng(1), 400
    x = random.normal(size=(rows, 3))
    zone, seen = random.integers(0, 3, rows), x[:, 0] > 0
    y = ((x[:, 1] + zone + seen) > 1).astype(int) + 3
    days = np.datetime64("2024-01-01T06:30") + random.integers(0, 1000, rows).astype("m8[h]")
    frame = {
        "a": x[:, 1],
        "zone": np.array([1e-5, 0.5, 2.0])[zone],
        "seen": seen,
        "when": days.astype("M8[us]"),
        "y": y,
    }
    gaps = pa.array(x[:, 2], mask=random.random(rows) < 0.1)
    pq.write_table(pa.table({**frame, "gaps": gaps}), folder / "frame.parquet")
    np.savez(folder / "arrays.npz", X=x, Y=x @ [1.0, 2.0, 0.5])
    np.savez(folder / "parts.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    np.save(folder / "matrix.npy", np.column_stack([x, y]))
    ends = np.where(zone > 0, "9999-12-31", "2024-02-29")
    lines = [
        f"{a:.4f},{'no' if a < 0 else 'yes'},{end},{b}" for (a, *_), end, b in zip(x, ends, y, strict=True)
    ]
    (folder / "bare.csv").write_text("\n".join(lines), encoding="utf-16")
    return {
        "frame": (
            folder / "frame.parquet",
            {"target": "y", "columns": {"zone": "category", "y": "category"}},
        ),
        "arrays": (folder / "arrays.npz", {}),
        "parts": (folder / "parts.npz", {}),
        "matrix": (folder / "matrix.npy", {}),
        "bare": (folder / "bare.csv", {}),
    }


@pytest.fixture(scope="module")
def ran(reports: dict[str, Report], folder: Path) -> dict[str, Any]:
    """What the snippets print, and the rows that they train and test on; all run in one process."""
    codes = {name: present(report.recommendation.snippet) for name, report in reports.items()}
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", RUN],
        cwd=folder,
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", [*CASES, *FORMATS])
def test_it_reaches_the_reported_score(name: str, reports: dict[str, Report], ran: dict[str, Any]) -> None:
    report = reports[name]
    runs = [one.result for one in confirmed(report) if one.result is not None]
    values = [one.value for one in runs if one.value is not None]
    assert len(values) == 5
    metric, _, score = ran[name]["printed"].partition(": ")
    assert metric == f"test {report.spec.goal.metric}"
    assert float(score) == pytest.approx(mean(values), abs=5 * float(np.std(values, ddof=1)))


@pytest.mark.parametrize("name", [*CASES, *FORMATS])
def test_its_rows_and_features_are_the_jobs(
    name: str, reports: dict[str, Report], ran: dict[str, Any], folder: Path
) -> None:
    spec = reports[name].spec
    seeds = next(
        t.plan.seeds for t in reports[name].trials if t.plan.phase is Phase.CONFIRM and not t.plan.number
    )
    built = workload.build(spec.cataloged, blobs=folder / "blobs")
    splits, features = built.splits(seeds.split), np.load(folder / f"{name}.npy")
    test = sorted(ran[name]["test"])
    assert len(ran[name]["train"]) == spec.sizes.train
    assert not set(test) & set(ran[name]["train"])
    if present(spec.workload.upload).split.kind == "group":  # its training rows are drawn otherwise
        assert len(test) == spec.sizes.test
        return
    np.testing.assert_allclose(features[test], splits.test.inputs.numpy(), atol=1e-5)
    np.testing.assert_allclose(features[sorted(ran[name]["train"])], splits.train.inputs.numpy(), atol=1e-5)
    taught = np.array(ran[name]["targets"])[np.argsort(ran[name]["train"])]
    np.testing.assert_allclose(taught, splits.train.targets.flatten().numpy(), atol=1e-5)


def test_an_earlier_spec_has_stand_ins(reports: dict[str, Report]) -> None:
    """As it does not record what the columns become."""
    spec = reports["classes"].spec
    upload = present(spec.workload.upload).model_copy(update={"written": None})
    workload_then = spec.workload.model_copy(update={"upload": upload})
    code = snippet(
        spec.model_copy(update={"workload": workload_then}), "adamw", spec.optimizer("adamw").default
    )
    assert "your data here" in code


def test_it_imports_sklearn_only_for_a_score_that_needs_it(reports: dict[str, Report]) -> None:
    for name, needs_it in {"classes": True, "numbers": True, "given": False, "groups": False}.items():
        spec = reports[name].spec  # by roc_auc, rmse, nll and nll
        code = snippet(spec, "adamw", spec.optimizer("adamw").default)
        assert ("import sklearn" in code) is needs_it, name


def test_it_reads_as_the_reader_does() -> None:
    assert set(snippet_table.MISSING) == MISSING
    assert columns.FARTHEST == snippet_table.FARTHEST
    parts = {word: i for i, words in enumerate(snippet_rows.PARTS.values()) for word in words}
    assert parts == PARTS


@pytest.mark.parametrize("metric", [*CLASSIFICATION, *REGRESSION], ids=lambda metric: metric.name)
def test_every_metric_has_its_code(metric: Any) -> None:
    assert metric.code
