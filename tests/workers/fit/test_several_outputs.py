"""Networks fitted again on yardsticks: several outputs are predicted, and wrong labels are the same."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.builders.present import present
from tests.builders.reports import concluded_report
from whichopt.service.evidence.report.document import Report
from whichopt.service.spec import JobSpec, resolve
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.fit import fit, predict
from whichopt.workers.workload import table_of
from whichopt.workers.workload.table import Table
from whichopt.workers.workload.tasks import CRITERIA


def _report(**asked: Any) -> Report:
    budget = {"trials": 1, "replicates": 1, "epochs": 2, "confirm_seeds": 3}
    spec = resolve(JobSpec.model_validate({"workload": asked, "optimizers": ["adam"], "budget": budget}))
    torch.set_num_threads(1)  # as a worker's process has
    built = workload.build(spec.cataloged)
    return concluded_report(spec, lambda plans: EXECUTORS["stacked"]().run(built, plans, Unwatched()))


def test_every_pixel_is_predicted(tmp_path: Path) -> None:
    report = _report(dataset="noisy_digits", model={"name": "mlp", "hidden": [16]})
    fitted = fit(report, tmp_path / "net")
    assert fitted.agreement in ("same bits", "within tolerance")
    spec = report.spec.cataloged
    table = table_of(spec)
    assert isinstance(table, Table)
    np.savetxt(tmp_path / "rows.csv", table.features, delimiter=",")
    predict.predict(tmp_path / "rows.csv", tmp_path / "out.csv", tmp_path / "net")
    with (tmp_path / "out.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == [f"prediction {pixel}" for pixel in range(1, 65)]
    test = table.parts(CRITERIA["regression"], spec.sizes, 0)[2]
    off = np.array(rows, dtype=float)[test] - table.labels[test]
    assert math.sqrt(np.mean(off**2)) == pytest.approx(present(fitted.test), rel=1e-5)


def test_labels_are_as_wrong_as_in_the_report(tmp_path: Path) -> None:
    report = _report(dataset={"name": "wine", "label_noise": 0.4}, model="linear")
    assert fit(report, tmp_path / "net").agreement in ("same bits", "within tolerance")
