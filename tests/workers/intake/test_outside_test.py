"""Nothing that is learned of a file comes from its test rows: neither a number nor a category."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders.tables import column, taken, written
from tests.builders.uploads import FILE, forget_data
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.splits import outside_test
from whichopt.service.uploads import Kind, Role
from whichopt.workers import workload
from whichopt.workers.intake.taken import Taken

ROWS = 200
SPLITS = ("random", "column:by", "group:by", "time:by")


def _columns(split: str) -> dict[str, Any]:
    """Return a table of every kind, whose categories, ids and missing values are at the edge of each rule."""
    random = np.random.default_rng(1)
    by: dict[str, list[Any]] = {
        "column:by": ["train"] * 120 + ["validation"] * 40 + ["test"] * 40,
        "group:by": [f"g{row // 5}" for row in range(ROWS)],
        "time:by": (random.permutation(ROWS) + 1000).tolist(),
    }
    return {
        "number": random.normal(5, 3, ROWS).round(3).tolist(),
        "gaps": ["" if row % 9 == 0 else f"{row}.25" for row in range(ROWS)],
        "town": [f"t{min(row % 40, row % 53)}" for row in range(ROWS)],
        "few": [("a", "b", "")[row % 3] for row in range(ROWS)],
        "flag": [row % 2 for row in range(ROWS)],
        "day": [f"2024-01-{1 + row % 28:02}" for row in range(ROWS)],
        "id": random.permutation(ROWS).tolist(),
        "code": [f"c{row}" for row in range(ROWS)],
        "constant": ["7"] * ROWS,
        **({"by": by[split]} if split in by else {}),
        "y": ["ab"[row % 2] for row in range(ROWS)],
    }


CHANGED: dict[str, list[Any]] = {
    "number": [1e9, ""],
    "gaps": ["", -1e9],
    "town": ["new", "t1"],
    "few": ["new", "c"],
    "flag": [0.5, 7],
    "day": ["1999-12-31", ""],
    "id": [3],
    "code": ["c"],
    "constant": ["8", ""],
}
"""What test rows are changed to, row by row."""


def _outside(found: Taken) -> np.ndarray:
    table, tensors = found.table, found.kept.tensors()
    by = {"given": tensors.get("part"), "group": tensors.get("group"), "time": tensors.get("time")}
    strata = None if table.classes is None else tensors["target"]
    return outside_test(table.split, strata, table.rows, table.sizes, **by)


def _inputs(found: Taken, folder: Path) -> workload.Splits:
    path, content = found.keep(folder)
    path.rename(folder / content)
    catalog = replace(built_in(), datasets=(uploaded("own", found.table, FILE, content),))
    asked = {"workload": {"dataset": {"name": "own"}, "model": {"name": "linear"}}}
    forget_data()
    return workload.build(resolve(JobSpec.model_validate(asked), catalog).cataloged, blobs=folder).splits(5)


@pytest.mark.parametrize("split", SPLITS)
def test_changing_every_test_row_changes_no_training_tensor(split: str, tmp_path: Path) -> None:
    columns = _columns(split)
    found = taken(tmp_path, written(columns), split=split)
    test = np.flatnonzero(~_outside(found))
    for name, values in CHANGED.items():
        for place, row in enumerate(test):
            columns[name][row] = values[place % len(values)]
    other = taken(tmp_path, written(columns), split=split)
    assert (_outside(other) == _outside(found)).all()
    before, after = _inputs(found, tmp_path), _inputs(other, tmp_path)
    for part in ("train", "validation"):
        one, two = before.named(part), after.named(part)
        assert one.inputs.numpy().tobytes() == two.inputs.numpy().tobytes()
        assert one.targets.numpy().tobytes() == two.targets.numpy().tobytes()
    assert before.test.inputs.numpy().tobytes() != after.test.inputs.numpy().tobytes()


def test_what_test_rows_alone_have_becomes_no_feature(tmp_path: Path) -> None:
    columns = _columns("column:by")
    tested = [row for row in range(ROWS) if columns["by"][row] == "test"]
    for row in tested:
        columns["few"][row] = "new"
        columns["number"][row] = ""
        columns["constant"][row] = "8"
    for row in range(ROWS):
        if columns["few"][row] == "":
            columns["few"][row] = "a"
    table = taken(tmp_path, written(columns), split="column:by").table
    few, number, constant = (column(table, name) for name in ("few", "number", "constant"))
    assert (few.categories, few.other, few.width, few.distinct) == (("a", "b"), 0, 2, 3)
    assert (number.missing, number.indicator, number.width) == (len(tested), False, 1)
    assert (constant.role, constant.kind) == (Role.LEFT_OUT, Kind.NUMERIC)
    assert constant.becomes == "left out: it has the same value in every row of training and validation"
